"""Decides for each connection what its principal may do, and remembers it until an ACL changes.

A connection asks the same few questions for every request, so its answers are kept with it: a question that was asked
before costs one dict look-up. What is kept is bound to the very ACLs and the very principal that it was decided for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from broker.errors import InvalidConfig
from broker.metadata.image import Acl
from broker.security.access import OPEN, REFUSALS, Access, Operation, ResourceType
from broker.security.rules import Rules, Who

_MAX_REMEMBERED = 20_000
"""Answers kept of one connection."""


@dataclass(frozen=True, kw_only=True)
class AuthorizerSettings:
    """What a broker was started with."""

    enabled: bool = False
    super_users: frozenset[str] = frozenset()
    allow_if_none: bool = False
    """Kafka's allow.everyone.if.no.acl.found."""

    @classmethod
    def of(cls, configs: Mapping[str, str]) -> AuthorizerSettings:
        """From Kafka's names; InvalidConfig where they contradict each other."""
        users = frozenset(filter(None, (user.strip() for user in configs.get("super.users", "").split(";"))))
        for user in users:
            if ":" not in user:
                raise InvalidConfig(f"super.users has {user[:64]}: write User:NAME, more of them after a semicolon")
        enabled = bool(configs.get("authorizer.class.name", ""))
        if users and not enabled:
            raise InvalidConfig("super.users is set and no ACLs are: set authorizer.class.name=StandardAuthorizer too")
        allow_if_none = configs.get("allow.everyone.if.no.acl.found", "false").lower() == "true"
        return cls(enabled=enabled, super_users=users, allow_if_none=allow_if_none)


class Asker(Protocol):
    """A connection, as far as its rights go."""

    @property
    def principal(self) -> str: ...

    @property
    def peer(self) -> str: ...


class Authorizer:
    """The rules of the cluster at this broker."""

    def __init__(self, settings: AuthorizerSettings, acls: Callable[[], tuple[Acl, ...]]) -> None:
        self.settings = settings
        self._acls = acls
        self._read: tuple[Acl, ...] = ()
        self._rules = Rules((), allow_if_none=settings.allow_if_none)

    def rules(self) -> Rules:
        """The current ones: the same object while no ACL has changed."""
        acls = self._acls()
        if acls is not self._read:
            self._read, self._rules = acls, Rules(acls, allow_if_none=self.settings.allow_if_none)
        return self._rules

    def access(self, asker: Asker) -> Access:
        """What a connection asks; it follows the connection's principal."""
        return Gate(self, asker) if self.settings.enabled else OPEN


class Gate:
    """One connection's rights."""

    guards = True

    def __init__(self, authorizer: Authorizer, asker: Asker) -> None:
        self._authorizer = authorizer
        self._asker = asker
        self._decided_by: Rules | None = None
        self._who = Who(principal="", host="")
        self._remembered: dict[tuple[int, int, str | None], bool] = {}

    def allows(self, operation: Operation, resource: ResourceType, name: str) -> bool:
        return self._decide(operation, resource, name)

    def allows_any(self, operation: Operation, resource: ResourceType) -> bool:
        return self._decide(operation, resource, None)

    def check(self, operation: Operation, resource: ResourceType, name: str) -> None:
        if not self._decide(operation, resource, name):
            raise REFUSALS[resource](f"{operation.name} is not allowed on {resource.name.lower()} {name[:64]}")

    def _decide(self, operation: int, resource: int, name: str | None) -> bool:
        rules = self._authorizer.rules()
        if rules is not self._decided_by or self._asker.principal != self._who.principal:
            self._decided_by = rules
            self._who = Who(principal=self._asker.principal, host=self._asker.peer)
            self._remembered.clear()
        key = (operation, resource, name)
        known = self._remembered.get(key)
        if known is None:
            known = self._ask(rules, operation, resource, name)
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = known
        return known

    def _ask(self, rules: Rules, operation: int, resource: int, name: str | None) -> bool:
        if self._who.principal in self._authorizer.settings.super_users:
            return True
        if name is None:
            return rules.allow_any(self._who, operation, resource)
        return rules.allow(self._who, operation, resource, name)
