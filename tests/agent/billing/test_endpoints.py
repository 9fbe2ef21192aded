"""http is allowed for the bucket whose endpoint the environment names without TLS, and for no other."""

import json
from pathlib import Path

import pytest

from agent.billing.endpoints import is_plain


@pytest.mark.parametrize(
    ("url", "name", "value", "plain"),
    [
        ("s3://bills", "AWS_ENDPOINT_URL", "http://127.0.0.1:9000", True),
        ("s3://bills", "AWS_ENDPOINT_URL", "https://s3.example", False),
        ("az://bills", "AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:10000/dev", True),
        ("abfss://bills@dev.dfs.core.windows.net/x", "AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:10000/dev", True),
        ("az://bills", "AWS_ENDPOINT_URL", "http://127.0.0.1:9000", False),
        ("gs://bills", "AWS_ENDPOINT_URL", "http://127.0.0.1:9000", False),
        ("gs://bills", "GOOGLE_SERVICE_ACCOUNT", "/no/such/file", False),
    ],
)
def test_an_endpoint_without_tls_is_known_by_its_own_variable(url: str, name: str, value: str, plain: bool) -> None:
    assert is_plain(url, {name: value}) is plain
    assert not is_plain(url, {})


def test_a_service_account_says_where_its_buckets_are(tmp_path: Path) -> None:
    account = tmp_path / "account.json"
    for text, plain in (
        (json.dumps({"gcs_base_url": "http://127.0.0.1:4443"}), True),
        (json.dumps({"client_email": "a@b"}), False),
        ("[]", False),
        ("{", False),
    ):
        account.write_text(text)
        assert is_plain("gs://bills", {"GOOGLE_SERVICE_ACCOUNT": str(account)}) is plain
