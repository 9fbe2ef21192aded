"""The verdict: what the cluster promised against what is there now.

Called when all is quiet and every partition was read back from its beginning (or from where the last check ended) to
its high watermark. What disagreed along the way is in `history.anomalies` already; this finds what only the whole
shows:

lost          acknowledged, and at no offset
vanished      seen by a consumer at an offset that is not there any more
unread        an offset below the end that the read-back did not meet
duplicate     an idempotent producer's value at two offsets
out of order  an idempotent producer's values in another order than they were sent
"""

from __future__ import annotations

from tests.chaos.history import NOTHING, SEQUENCE_BITS, History, Part, Place, Value, Written

_MASK = (1 << SEQUENCE_BITS) - 1


def check(history: History) -> None:
    """Adds what it finds to `history.anomalies`."""
    for place, part in history.parts.items():
        _check_part(history, place, part)


def _check_part(history: History, place: Place, part: Part) -> None:
    name, tell = f"{place[0]}-{place[1]}", history.anomalies.add
    met = {author: bytearray(len(written.states)) for author, written in part.written.items()}
    newest: dict[int, int] = {}
    for offset in range(part.end):
        if (code := part.at(offset)) == NOTHING:
            tell("unread", f"{name} offset {offset} of {part.end} was never read")
            continue
        author, sequence = code >> SEQUENCE_BITS, code & _MASK
        counts = met.get(author)
        if counts is None or sequence >= len(counts):
            tell("foreign", f"{name} offset {offset} holds {author}:{sequence}, which nobody sent")
            continue
        if part.written[author].idempotent:
            before = newest.get(author, NOTHING)
            if counts[sequence]:
                tell("duplicate", f"{name} offset {offset} holds {author}:{sequence} again")
            elif sequence < before:
                tell("out of order", f"{name} offset {offset} holds {author}:{sequence} after {author}:{before}")
            newest[author] = max(sequence, before)
        counts[sequence] = 1
    _check_vanished(history, name, part)
    for author, written in part.written.items():
        for sequence, state in enumerate(written.states):
            if state == Written.ACKED and not met[author][sequence]:
                tell("lost", f"{name}: {author}:{sequence} was acknowledged and is nowhere")


def _check_vanished(history: History, name: str, part: Part) -> None:
    for offset in range(part.end, len(part.seen)):
        if (code := part.seen[offset]) != NOTHING:
            text = f"{name} offset {offset} held {Value.of(code)}, the log ends at {part.end}"
            history.anomalies.add("vanished", text)
