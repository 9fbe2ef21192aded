"""What the ACLs say, as Kafka's StandardAuthorizer reads them.

1. A rule applies to its own principal or `User:*`, from its own host or `*`; to its name, to every name (`*`), or to
   every name with its prefix.
2. A rule that denies decides, however many allow.
3. ALL is every operation. Allowing READ, WRITE, DELETE or ALTER allows DESCRIBE; ALTER_CONFIGS, DESCRIBE_CONFIGS.
   Denying implies nothing.
4. Where no rule is about the resource at all, `allow.everyone.if.no.acl.found` decides; otherwise it is no.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from broker.metadata.image import Acl
from broker.security.access import Operation, ResourceType

LITERAL, PREFIXED = 3, 4
DENY, ALLOW = 2, 3
EVERYBODY = "User:*"
ANY_HOST = "*"
ANY_NAME = "*"

IMPLIED_BY: Mapping[int, frozenset[int]] = {
    Operation.DESCRIBE: frozenset((Operation.READ, Operation.WRITE, Operation.DELETE, Operation.ALTER)),
    Operation.DESCRIBE_CONFIGS: frozenset((Operation.ALTER_CONFIGS,)),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Who:
    """Who asks, and from where."""

    principal: str
    host: str


class Rules:
    """All ACLs, found by resource in the time of a few dict look-ups."""

    def __init__(self, acls: tuple[Acl, ...], *, allow_if_none: bool) -> None:
        self._allow_if_none = allow_if_none
        self._acls = acls
        self._by_pattern: dict[tuple[int, int, str], list[Acl]] = {}
        lengths: dict[int, set[int]] = {}
        for acl in acls:
            self._by_pattern.setdefault((acl.resource_type, acl.pattern, acl.name), []).append(acl)
            if acl.pattern == PREFIXED:
                lengths.setdefault(acl.resource_type, set()).add(len(acl.name))
        self._lengths = {kind: sorted(some) for kind, some in lengths.items()}

    def allow(self, who: Who, operation: int, kind: int, name: str) -> bool:
        """Whether it is allowed to do that with the resource of that name."""
        about = list(self._about(kind, name))
        if not about:
            return self._allow_if_none
        own = [acl for acl in about if _is_for(acl, who)]
        if any(acl.permission == DENY and acl.operation in (operation, Operation.ALL) for acl in own):
            return False
        enough = {operation, Operation.ALL} | IMPLIED_BY.get(operation, frozenset())
        return any(acl.permission == ALLOW and acl.operation in enough for acl in own)

    def allow_any(self, who: Who, operation: int, kind: int) -> bool:
        """Whether there is, or could be, a resource of the kind with which it is allowed; ANY stands for all kinds."""
        if kind == ResourceType.ANY:
            return self._allow_if_none or any(acl.permission == ALLOW and _is_for(acl, who) for acl in self._acls)
        own = [acl for acl in self._acls if acl.resource_type == kind and _is_for(acl, who)]
        denied = [acl for acl in own if acl.permission == DENY and acl.operation in (operation, Operation.ALL)]
        if any(acl.pattern == LITERAL and acl.name == ANY_NAME for acl in denied):
            return False
        if self._allow_if_none:
            return True
        enough = {operation, Operation.ALL} | IMPLIED_BY.get(operation, frozenset())
        return any(acl.permission == ALLOW and acl.operation in enough and not _covered(acl, denied) for acl in own)

    def _about(self, kind: int, name: str) -> Iterator[Acl]:
        """Every rule about the resource, whomever it is for."""
        find = self._by_pattern.get
        yield from find((kind, LITERAL, name), ())
        if name != ANY_NAME:
            yield from find((kind, LITERAL, ANY_NAME), ())
        for length in self._lengths.get(kind, ()):
            if length > len(name):
                break
            yield from find((kind, PREFIXED, name[:length]), ())


def _is_for(acl: Acl, who: Who) -> bool:
    return acl.principal in (who.principal, EVERYBODY) and acl.host in (who.host, ANY_HOST)


def _covered(allowed: Acl, denied: Iterable[Acl]) -> bool:
    """Whether everything a rule allows is denied by another."""
    for other in denied:
        if other.pattern == PREFIXED and allowed.name.startswith(other.name) and allowed.name != ANY_NAME:
            return True
        if other.pattern == allowed.pattern == LITERAL and other.name == allowed.name:
            return True
    return False
