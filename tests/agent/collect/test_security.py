"""What listeners, certificates and ACLs become in the `security` view."""

from datetime import UTC, datetime

from agent.collect.security import broad, checks
from agent.collect.shapes import Acl, Certificate, ConfigEntry, Inventory


def entries(**settings: str) -> dict[str, ConfigEntry]:
    return {
        name.replace("__", "."): ConfigEntry(value=value, source="STATIC_BROKER_CONFIG", read_only=True)
        for name, value in settings.items()
    }


def acl(
    principal: str, operation: str, kind: str, name: str, pattern: str = "LITERAL", permission: str = "ALLOW"
) -> Acl:
    return Acl(
        principal=principal, host="*", operation=operation, permission=permission, resource_type=kind,
        resource_name=name, pattern=pattern,
    )  # fmt: skip


def test_each_listener_says_its_protocol_and_address() -> None:
    settings = entries(
        advertised__listeners="PLAIN://10.0.0.1:9092,SASL://10.0.0.1:9093",
        listener__security__protocol__map="PLAIN:PLAINTEXT,SASL:SASL_SSL,CONTROLLER:PLAINTEXT",
        sasl__enabled__mechanisms="SCRAM-SHA-512,PLAIN",
        authorizer__class__name="org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        allow__everyone__if__no__acl__found="true",
    )
    rows = {(row.subject, row.check): row.value for row in checks("c", {"1": settings}, Inventory())}
    assert rows == {
        ("broker/1/listener/PLAIN", "protocol"): "PLAINTEXT",
        ("broker/1/listener/PLAIN", "address"): "10.0.0.1:9092",
        ("broker/1/listener/SASL", "protocol"): "SASL_SSL",
        ("broker/1/listener/SASL", "address"): "10.0.0.1:9093",
        ("broker/1/listener/SASL", "sasl_mechanisms"): "SCRAM-SHA-512,PLAIN",
        ("broker/1", "authorizer"): "StandardAuthorizer",
        ("broker/1", "open_without_acl"): "true",
    }


def test_a_certificate_brings_the_time_at_which_it_ends() -> None:
    end = datetime(2026, 12, 1, tzinfo=UTC)
    held = Inventory(certificates=(Certificate(broker=1, address="h:9093", subject="broker", expires_at=end),))
    assert [(row.resource, row.check, row.expires_at) for row in checks("c", {}, held)] == [
        ("c/broker/1", "certificate", end)
    ]


def test_an_acl_is_broad_where_it_lets_everybody_in_or_one_write_everywhere() -> None:
    assert broad(acl("User:*", "READ", "TOPIC", "orders"))
    assert broad(acl("User:app", "WRITE", "TOPIC", "*"))
    assert broad(acl("User:app", "ALL", "TOPIC", "", pattern="PREFIXED"))
    assert broad(acl("User:app", "ALTER", "CLUSTER", "kafka-cluster"))
    assert not broad(acl("User:app", "READ", "TOPIC", "*"))
    assert not broad(acl("User:app", "WRITE", "TOPIC", "orders"))
    assert not broad(acl("User:app", "DESCRIBE", "CLUSTER", "kafka-cluster"))
    assert not broad(acl("User:*", "ALL", "TOPIC", "*", permission="DENY"))


def test_acls_are_counted_by_principal_and_the_broad_ones_come_first() -> None:
    held = Inventory(acls=(acl("User:a/b", "READ", "TOPIC", "x"), acl("User:a/b", "WRITE", "TOPIC", "*")))
    rows = checks("c", {}, held)
    assert [(row.resource, row.subject, row.check, row.value) for row in rows] == [
        ("c/principal/User:a%2Fb", "principal/User:a%2Fb", "acls", "2"),
        ("c/principal/User:a%2Fb", "acl/User:a%2Fb/WRITE/TOPIC/*", "broad_acl", "ALLOW from *"),
        ("c/principal/User:a%2Fb", "acl/User:a%2Fb/READ/TOPIC/x", "acl", "ALLOW from *"),
    ]
