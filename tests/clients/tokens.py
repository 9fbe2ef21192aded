"""OAuth tokens for the matrix: a key, its JWKS file, and an endpoint that hands a token to whoever asks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

AUDIENCE = "kafka"
ISSUER = "https://id.test"
_DAY_S = 86_400


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """`jwks` is what the brokers read, `token` and `url` are where clients get theirs."""

    jwks: Path
    token: Path
    url: str


@contextmanager
def issuer(directory: Path, subject: str) -> Iterator[Issuer]:
    """Serves tokens of one subject on loopback, until the end."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())) | {"kid": "matrix", "use": "sig"}
    jwks, token = directory / "jwks.json", directory / "token"
    jwks.write_text(json.dumps({"keys": [public]}))
    now = int(time.time())
    claims = {"sub": subject, "aud": AUDIENCE, "iss": ISSUER, "iat": now, "exp": now + _DAY_S, "scope": "kafka"}
    signed = jwt.encode(claims, key, algorithm="RS256", headers={"kid": "matrix"})
    token.write_text(signed)
    answer = json.dumps({"access_token": signed, "token_type": "Bearer", "expires_in": _DAY_S}).encode()

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Issuer(jwks=jwks, token=token, url=f"http://127.0.0.1:{server.server_address[1]}/token")
        finally:
            server.shutdown()
            thread.join(5)
