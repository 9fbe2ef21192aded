"""Kafka's client.properties."""

from pathlib import Path

import pytest

from agent.collect.errors import BadProperties
from agent.collect.properties import parse_properties, read_properties

JAAS = 'org.apache.kafka.common.security.scram.ScramLoginModule required username="ann" password="p;\\"w= d";'


def written(directory: Path, text: str) -> Path:
    path = directory / "client.properties"
    path.write_text(text)
    return path


def test_reads_the_java_format() -> None:
    text = "# no\n! no\na=1\nb : two words \nc\\:d = x\\\n   y\n\nempty=\nu=\\u0041\n"
    assert parse_properties(text) == {"a": "1", "b": "two words", "c:d": "xy", "empty": "", "u": "A"}


def test_turns_scram_over_plaintext_into_options_and_shows_no_secret(tmp_path: Path) -> None:
    escaped = JAAS.replace("\\", "\\\\")
    text = f"security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config={escaped}\nacks=all\n"
    options = read_properties(written(tmp_path, text))
    assert options.arguments == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "ann",
        "sasl_plain_password": 'p;"w= d',
    }
    assert "ann" not in repr(options)


def test_makes_a_tls_context_and_may_skip_the_host_name(tmp_path: Path) -> None:
    text = "security.protocol=SSL\nssl.endpoint.identification.algorithm=\n"
    options = read_properties(written(tmp_path, text))
    assert options.arguments["ssl_context"].check_hostname is False
    assert options.arguments["ssl_check_hostname"] is False


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("security.protocl=SSL", "did you mean security.protocol?"),
        ("security.protocol=TLS", "use one of PLAINTEXT"),
        ("security.protocol=SASL_SSL\nsasl.mechanism=GSSAPI", "this agent speaks PLAIN"),
        ("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN", "sasl.jaas.config is missing"),
        (f"security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config={JAAS}", "needs PlainLoginModule"),
        ("security.protocol=SSL\nssl.truststore.location=/x/store.jks", "is a JKS file; convert it"),
        ("security.protocol=SSL\nssl.truststore.location=gone.pem", "which is not there"),
        ("request.timeout.ms=soon", "use whole milliseconds"),
    ],
)
def test_names_what_is_wrong_and_what_to_do(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadProperties) as caught:
        read_properties(written(tmp_path, text))
    assert said in str(caught.value)
    assert "p;" not in str(caught.value)


def test_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadProperties, match="cannot read"):
        read_properties(tmp_path / "none")
