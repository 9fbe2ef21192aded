"""What a group whose members are rows has to have stored: which of them changed, and whether answers wait for it."""

from __future__ import annotations

from collections.abc import Mapping

from broker.groups.shapes import Effects


class Unsaved:
    """The part of such a group that its shard asks; the group itself notes what changes."""

    members: Mapping[str, object]

    def __init__(self) -> None:
        self._store = False
        self._touched: set[str] = set()
        """Members that changed, came or went since they were stored last."""
        self._is_stored_whole = False

    def take(self) -> Effects:
        """Whether it must be stored before anything is answered. Nobody is ever parked."""
        effects = Effects(answers=(), store=self._store)
        self._store = False
        return effects

    @property
    def has_effects(self) -> bool:
        return self._store

    def must_store(self) -> None:
        """The next answers rely on what has just changed."""
        self._store = True

    def unsaved(self) -> tuple[bool, set[str]]:
        """What has to be stored now: all members or not, and which."""
        is_whole = not self._is_stored_whole
        touched = set(self.members) if is_whole else self._touched
        self._touched, self._is_stored_whole = set(), True
        return is_whole, touched
