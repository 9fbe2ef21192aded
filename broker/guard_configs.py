"""The broker configs that guard it: listeners, TLS, SASL and ACLs (docs/security.md). None of them is a secret."""

from __future__ import annotations

from broker.config_keys import Kind, counted, fixed, one_of

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
    fixed("ssl.truststore.location", Kind.STRING, "", "A PEM file: who may sign clients' and brokers' certificates."),
    one_of(
        "security.inter.broker.protocol",
        ("PLAINTEXT", "SSL"),
        "PLAINTEXT",
        "Whether brokers encrypt what they say to each other; the same on all of them.",
    ),
    one_of(
        "ssl.endpoint.identification.algorithm",
        ("https", ""),
        "https",
        "https: another broker's certificate must be for the address it is reached at. Empty: it need not.",
    ),
    one_of(
        "ssl.client.auth",
        ("none", "requested", "required"),
        "none",
        "Whether clients of SSL listeners show a certificate, which says who they are.",
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
    one_of(
        "authorizer.class.name",
        AUTHORIZERS,
        "",
        "StandardAuthorizer: ACLs are heeded, and what none allows is refused. Empty: everybody may do everything.",
    ),
    fixed("super.users", Kind.STRING, "", "Principals that may do everything: User:NAME, semicolons between."),
    fixed(
        "allow.everyone.if.no.acl.found",
        Kind.BOOLEAN,
        "false",
        "Whether a resource that no ACL is about is everybody's.",
    ),
)
