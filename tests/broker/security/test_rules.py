"""What ACLs say, read as Kafka reads them; and that what was decided is forgotten when they change."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from broker.api.rights import rights
from broker.errors import GroupAuthorizationFailed, InvalidConfig, InvalidRequest
from broker.metadata.image import Acl
from broker.security.access import OPEN, Operation, ResourceType
from broker.security.authorizer import Authorizer, AuthorizerSettings
from broker.security.filters import AclFilter, check_new
from broker.security.rules import ALLOW, DENY, LITERAL, PREFIXED, Rules, Who

ALICE = Who(principal="User:alice", host="10.0.0.1")
READ, WRITE, DESCRIBE, CREATE = Operation.READ, Operation.WRITE, Operation.DESCRIBE, Operation.CREATE
TOPIC = ResourceType.TOPIC


def acl(
    operation: Operation,
    name: str = "t",
    *,
    kind: int = TOPIC,
    pattern: int = LITERAL,
    principal: str = "User:alice",
    host: str = "*",
    permission: int = ALLOW,
) -> Acl:
    return Acl(
        resource_type=kind, name=name, pattern=pattern, principal=principal, host=host, operation=operation,
        permission=permission,
    )  # fmt: skip


def rules(*acls: Acl, allow_if_none: bool = False) -> Rules:
    return Rules(acls, allow_if_none=allow_if_none)


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        (acl(READ), True),
        (acl(Operation.ALL), True),
        (acl(READ, "*"), True),
        (acl(READ, "pay", pattern=PREFIXED), True),
        (acl(READ, "payments", pattern=PREFIXED), True),
        (acl(READ, principal="User:*"), True),
        (acl(READ, host="10.0.0.1"), True),
        (acl(WRITE), False),
        (acl(READ, "other"), False),
        (acl(READ, "payments-2", pattern=PREFIXED), False),
        (acl(READ, principal="User:bob"), False),
        (acl(READ, principal="User:al"), False),
        (acl(READ, host="10.0.0.2"), False),
        (acl(READ, kind=ResourceType.GROUP), False),
    ],
)
def test_a_rule_allows_its_own_principal_host_name_and_operation(rule: Acl, allowed: bool) -> None:
    named = (
        rule
        if rule.name != "t"
        else acl(
            Operation(rule.operation), "payments", kind=rule.resource_type, principal=rule.principal, host=rule.host
        )
    )
    assert rules(named).allow(ALICE, READ, TOPIC, "payments") is allowed


def test_what_denies_decides_however_many_allow() -> None:
    found = rules(acl(READ), acl(READ, "*"), acl(READ, "t", pattern=PREFIXED), acl(READ, "*", permission=DENY))
    assert not found.allow(ALICE, READ, TOPIC, "t")
    assert not rules(acl(READ), acl(Operation.ALL, permission=DENY)).allow(ALICE, READ, TOPIC, "t")
    assert rules(acl(READ), acl(READ, permission=DENY, principal="User:bob")).allow(ALICE, READ, TOPIC, "t")


@pytest.mark.parametrize("stronger", [READ, WRITE, Operation.DELETE, Operation.ALTER])
def test_stronger_rights_imply_describing_and_denying_implies_nothing(
    stronger: Operation,
) -> None:
    assert rules(acl(stronger)).allow(ALICE, DESCRIBE, TOPIC, "t")
    assert not rules(acl(DESCRIBE)).allow(ALICE, stronger, TOPIC, "t")
    assert rules(acl(DESCRIBE), acl(stronger, permission=DENY)).allow(ALICE, DESCRIBE, TOPIC, "t")


def test_altering_configs_implies_describing_them() -> None:
    found = rules(acl(Operation.ALTER_CONFIGS))
    assert found.allow(ALICE, Operation.DESCRIBE_CONFIGS, TOPIC, "t")
    assert not found.allow(ALICE, DESCRIBE, TOPIC, "t")


def test_a_resource_without_any_rule_is_nobodys_unless_it_is_said_to_be_everybodys() -> None:
    assert not rules().allow(ALICE, READ, TOPIC, "t")
    assert rules(allow_if_none=True).allow(ALICE, READ, TOPIC, "t")
    assert not rules(acl(WRITE, principal="User:bob"), allow_if_none=True).allow(ALICE, READ, TOPIC, "t")


def test_any_resource_of_a_kind_counts_unless_it_is_denied_again() -> None:
    assert rules(acl(WRITE)).allow_any(ALICE, WRITE, TOPIC)
    assert not rules(acl(READ)).allow_any(ALICE, WRITE, TOPIC)
    assert not rules(acl(WRITE), acl(WRITE, "*", permission=DENY)).allow_any(ALICE, WRITE, TOPIC)
    assert not rules(acl(WRITE), acl(WRITE, permission=DENY)).allow_any(ALICE, WRITE, TOPIC)
    assert not rules(acl(WRITE), acl(WRITE, "", pattern=PREFIXED, permission=DENY)).allow_any(ALICE, WRITE, TOPIC)
    assert rules(acl(WRITE, "ab"), acl(WRITE, "a", permission=DENY)).allow_any(ALICE, WRITE, TOPIC)


@dataclass
class Asker:
    principal: str = "User:alice"
    peer: str = "10.0.0.1"


class Cluster:
    """Where ACLs change."""

    def __init__(self, *acls: Acl) -> None:
        self.acls = acls

    def authorizer(self, **configs: str) -> Authorizer:
        named = {name.replace("_", "."): value for name, value in configs.items()}
        settings = AuthorizerSettings.of({"authorizer.class.name": "StandardAuthorizer", **named})
        return Authorizer(settings, lambda: self.acls)


def test_a_decision_is_kept_until_an_acl_or_the_principal_changes() -> None:
    cluster, asker = Cluster(acl(READ)), Asker()
    access = cluster.authorizer().access(asker)
    assert access.allows(READ, TOPIC, "t")
    cluster.acls = (acl(READ), acl(READ, permission=DENY))
    assert not access.allows(READ, TOPIC, "t")
    cluster.acls = (acl(READ),)
    asker.principal = "User:bob"
    assert not access.allows(READ, TOPIC, "t")


def test_a_super_user_may_do_everything_though_it_is_denied() -> None:
    cluster = Cluster(acl(Operation.ALL, "*", permission=DENY))
    access = cluster.authorizer(super_users="User:root; User:alice").access(Asker())
    assert access.allows(READ, TOPIC, "t")
    assert access.allows_any(WRITE, TOPIC)


def test_a_refusal_is_the_resources_own_error_and_names_it() -> None:
    access = Cluster().authorizer().access(Asker())
    with pytest.raises(GroupAuthorizationFailed, match="READ is not allowed on group g"):
        access.check(READ, ResourceType.GROUP, "g")


def test_rights_are_told_as_kafkas_bits() -> None:
    access = Cluster(acl(READ)).authorizer().access(Asker())
    assert rights(access, TOPIC, "t") == 1 << READ | 1 << DESCRIBE
    assert rights(OPEN, TOPIC, "t") == sum(1 << code for code in (3, 4, 5, 6, 7, 8, 10, 11))


def test_without_an_authorizer_nothing_is_asked_and_super_users_are_a_mistake() -> None:
    assert Authorizer(AuthorizerSettings.of({}), lambda: ()).access(Asker()) is OPEN
    with pytest.raises(InvalidConfig, match=r"authorizer\.class\.name"):
        AuthorizerSettings.of({"super.users": "User:root"})
    with pytest.raises(InvalidConfig, match="User:NAME"):
        AuthorizerSettings.of({"super.users": "root", "authorizer.class.name": "StandardAuthorizer"})


def wanted(**given: object) -> AclFilter:
    fields: dict[str, object] = {"resource_type": 1, "pattern": 1, "operation": 1, "permission": 1}
    fields |= {"name": None, "principal": None, "host": None}
    return AclFilter(**(fields | given))  # type: ignore[arg-type]


def test_a_filter_takes_what_it_names_and_match_takes_whatever_applies() -> None:
    literal, everything, prefixed = acl(READ, "abc"), acl(READ, "*"), acl(READ, "ab", pattern=PREFIXED)
    there = [literal, everything, prefixed]

    def taken(**given: object) -> list[Acl]:
        return [each for each in there if wanted(**given).takes(each)]

    assert taken() == there
    assert taken(name="abc") == [literal]
    assert taken(name="abc", pattern=2) == there
    assert taken(name="ab", pattern=PREFIXED) == [prefixed]
    assert taken(principal="User:bob") == []
    assert taken(operation=int(READ), permission=DENY) == []


@pytest.mark.parametrize(
    "bad",
    [
        acl(Operation.ANY),
        acl(READ, kind=1),
        acl(READ, pattern=2),
        acl(READ, permission=1),
        acl(READ, ""),
        acl(READ, principal="alice"),
        acl(READ, host=""),
        acl(READ, "x" * 1025),
        acl(Operation.ALTER, "c", kind=ResourceType.CLUSTER),
    ],
)
def test_an_acl_that_can_never_apply_is_refused(bad: Acl) -> None:
    with pytest.raises(InvalidRequest):
        check_new(bad)
