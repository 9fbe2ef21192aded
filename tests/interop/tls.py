"""A certificate authority for one test: ca.pem, broker.pem (key and certificate), and NAME.pem for each client."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFE = timedelta(days=20)


def write(directory: Path, *, hosts: list[str], clients: list[str]) -> None:
    """Writes all of them; brokers share one certificate that names every host."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("interop CA")
    ca = _builder(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    root = ca.sign(key, hashes.SHA256())
    (directory / "ca.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host)) for host in hosts])
    _issue(directory / "broker.pem", "broker", name, key, addresses)
    for client in clients:
        _issue(directory / f"{client}.pem", client, name, key, None)


def _issue(
    file: Path, name: str, issuer: x509.Name, signer: ec.EllipticCurvePrivateKey, hosts: x509.ExtensionType | None
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name(name), issuer, key)
    if hosts is not None:
        builder = builder.add_extension(hosts, critical=False)
    certificate = builder.sign(signer, hashes.SHA256())
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFE)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
