"""The broker configs that guard it: listeners, TLS, SASL and ACLs (docs/security.md). None of them is a secret."""

from __future__ import annotations

from broker.config_keys import ConfigKey, Kind, counted, fixed

AUTHORIZERS = (
    "",
    "StandardAuthorizer",
    "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "kafka.security.authorizer.AclAuthorizer",
)
"""What `authorizer.class.name` may say: nothing, or one of Kafka's names for what is here."""


GUARDS = (
    fixed(
        "listener.security.protocol.map",
        Kind.LIST,
        "",
        "NAME:PROTOCOL of listeners that are not called PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
    ),
    fixed("ssl.keystore.location", Kind.STRING, "", "A PEM file: private key, and the chain of its certificate."),
    fixed("ssl.truststore.location", Kind.STRING, "", "A PEM file: who may sign clients' certificates."),
    ConfigKey(
        name="ssl.client.auth",
        kind=Kind.STRING,
        default="none",
        values=("none", "requested", "required"),
        doc="Whether clients of SSL listeners show a certificate, which says who they are.",
        read_only=True,
    ),
    fixed(
        "ssl.principal.mapping.rules", Kind.STRING, "DEFAULT", "RULE:pattern/replacement/[LU], for certificates' names."
    ),
    counted("max.connections", Kind.INT, str(2**31 - 1), "Client connections at once; more are hung up on."),
    counted("max.connections.per.ip", Kind.INT, str(2**31 - 1), "The same, from one address."),
    fixed("sasl.enabled.mechanisms", Kind.LIST, "SCRAM-SHA-256,SCRAM-SHA-512", "Of PLAIN, SCRAM-SHA-*, OAUTHBEARER."),
    counted(
        "sasl.server.max.receive.size", Kind.INT, "65536", "The largest request of a client that is not known yet."
    ),
    counted(
        "connections.max.reauth.ms", Kind.LONG, "0", "How long a SASL session holds before it is renewed; 0: for ever."
    ),
    counted(
        "connection.failed.authentication.delay.ms",
        Kind.INT,
        "100",
        "How long the answer to a failed login is held back.",
    ),
    fixed(
        "sasl.oauthbearer.jwks.endpoint.url", Kind.STRING, "", "The keys that sign tokens: https://... or file:///..."
    ),
    fixed("sasl.oauthbearer.expected.audience", Kind.LIST, "", "Whom tokens must be for, one of these."),
    fixed("sasl.oauthbearer.expected.issuer", Kind.STRING, "", "Whom tokens must be from."),
    fixed("sasl.oauthbearer.sub.claim.name", Kind.STRING, "sub", "The claim with the user's name."),
    counted("sasl.oauthbearer.clock.skew.seconds", Kind.INT, "30", "How wrong the issuer's clock may be."),
    counted("sasl.oauthbearer.jwks.endpoint.refresh.ms", Kind.LONG, "3600000", "How often the keys are read again."),
    ConfigKey(
        name="authorizer.class.name",
        kind=Kind.STRING,
        default="",
        values=AUTHORIZERS,
        doc="StandardAuthorizer: ACLs are heeded, and what none allows is refused. Empty: everybody may do everything.",
        read_only=True,
    ),
    fixed("super.users", Kind.STRING, "", "Principals that may do everything: User:NAME, semicolons between."),
    fixed(
        "allow.everyone.if.no.acl.found",
        Kind.BOOLEAN,
        "false",
        "Whether a resource that no ACL is about is everybody's.",
    ),
)
