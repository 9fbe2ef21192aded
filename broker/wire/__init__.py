"""Bytes and messages: frames, headers, and a codec for each message. No I/O, no state of the broker."""
