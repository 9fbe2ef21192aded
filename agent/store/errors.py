"""What can go wrong with what the agent keeps: each message names the file and the next step."""

from __future__ import annotations


class StoreError(Exception):
    """The samples store cannot do what was asked."""


class StateError(Exception):
    """`state.sqlite` cannot be opened, read or written: nothing may be acted on."""
