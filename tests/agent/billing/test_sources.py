"""Bills behind an API or in a bucket: real HTTP on loopback, what was read is kept, what costs money is counted."""

import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from urllib.request import Request, urlopen

import boto3
import pytest

from agent.billing.alibaba import AlibabaBill, signature
from agent.billing.bill import Bill
from agent.billing.daily import DayCache
from agent.billing.errors import BillError
from agent.billing.opening import open_bill
from agent.billing.scope import Scope
from agent.model.clock import HandClock
from tests.agent.billing.test_bill import GOOD, HEAD, costs
from tests.chaos.services import CREDENTIALS

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEYS = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret"}


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": moto}.items():
        monkeypatch.setenv(name, value)
    return moto


def opened(tmp_path: Path, clock: HandClock, kind: str = "", url: str = "", scope: Scope = Scope()) -> Bill:  # noqa: B008
    return open_bill(
        kind=kind, url=url, scope=scope, cache=tmp_path / "cache", clock=clock, environment={**os.environ, **KEYS}
    )


def test_a_bucket_is_mirrored_and_what_changes_there_changes_here(aws: str, tmp_path: Path) -> None:
    s3 = boto3.client("s3", endpoint_url=aws, region_name="us-east-1")
    s3.create_bucket(Bucket="bills")
    s3.put_object(Bucket="bills", Key="export/2026-11/a.csv", Body=HEAD + GOOD)
    s3.put_object(Bucket="bills", Key="export/manifest.json", Body="{}")
    bill = opened(tmp_path, HandClock(NOW), url="s3://bills/export")
    assert (bill.size, bill.refresh(), bill.size, bill.refresh()) == (0, True, 1, False)
    s3.put_object(Bucket="bills", Key="export/2026-11/a.csv", Body=HEAD + GOOD + GOOD)
    assert bill.refresh()
    assert costs(bill) == {"requests": 3.0}
    assert len([file for file in (tmp_path / "cache").rglob("*") if file.is_file()]) == 1
    s3.delete_object(Bucket="bills", Key="export/2026-11/a.csv")
    assert bill.refresh()
    assert bill.size == 0


def test_a_bucket_that_is_not_there_is_an_error_with_its_url(aws: str, tmp_path: Path) -> None:
    with pytest.raises(BillError, match="cannot read the bill in s3://nobody/x"):
        opened(tmp_path, HandClock(NOW), url="s3://nobody/x").refresh()


def cost_explorer_day(day: date) -> dict[str, Any]:
    def group(usage_type: str, tag: str, unblended: str, amortized: str, quantity: str) -> dict[str, Any]:
        return {
            "Keys": [usage_type, f"cluster${tag}"],
            "Metrics": {
                "UnblendedCost": {"Amount": unblended, "Unit": "USD"},
                "AmortizedCost": {"Amount": amortized, "Unit": "USD"},
                "UsageQuantity": {"Amount": quantity, "Unit": "N/A"},
            },
        }

    return {
        "TimePeriod": {"Start": day.isoformat(), "End": (day + timedelta(days=1)).isoformat()},
        "Groups": [
            group("BoxUsage:m7g.large", "prod", "4", "3", "48"),
            group("DataTransfer-Regional-Bytes", "prod", "1", "1", "100"),
            group("BoxUsage:m7g.large", "", "9", "9", "99"),
        ],
        "Estimated": False,
    }


def test_cost_explorer_is_paid_for_once_and_asked_again_for_open_days_only(aws: str, tmp_path: Path) -> None:
    days = [cost_explorer_day(NOW.date() - timedelta(days=n)) for n in (3, 2, 1)]
    answers = {"results": [{"ResultsByTime": days, "DimensionValueAttributes": []}]}
    request = Request(
        f"{aws}/moto-api/static/ce/cost-and-usage-results",
        data=json.dumps(answers).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urlopen(request):
        pass
    clock, scope = HandClock(NOW), Scope(tags={"cluster": "prod"})
    bill = opened(tmp_path, clock, kind="cost-explorer", scope=scope)
    assert bill.refresh()
    assert costs(bill) == {"compute": 9.0, "network": 3.0}
    assert bill.owners() == {"ours": 6, "untagged": 3}
    assert bill.closed_until(NOW) == date(2026, 11, 19)
    assert not bill.refresh()
    assert any("1 calls to Cost Explorer cost $0.01" in note for note in bill.notes)
    again = opened(tmp_path, clock, kind="cost-explorer", scope=scope)
    assert again.refresh()
    assert again.size == 9
    clock.wind(7 * 3600)
    again.refresh()
    assert again.source.calls == 2  # type: ignore[attr-defined]


class Bss(BaseHTTPRequestHandler):
    """DescribeInstanceBill with two pages a day; refuses what is not signed."""

    asked: list[dict[str, str]]

    def do_POST(self) -> None:
        query = dict(parse_qsl(urlsplit(self.path).query))
        signed = query.pop("Signature", "")
        if signed != signature(query, "secret"):
            self._say(400, {"Success": False, "Code": "SignatureDoesNotMatch", "Message": "no"})
            return
        self.asked.append(query)
        item = {
            "ProductCode": "ecs", "ProductName": "Elastic Compute Service", "SubscriptionType": "PayAsYouGo",
            "BillingItemCode": "InstanceType", "BillingItem": "instance", "InstanceID": "i-1", "Region": "cn-hangzhou",
            "PretaxGrossAmount": 3.0, "PretaxAmount": 2.0, "Currency": "CNY", "Usage": "24", "UsageUnit": "Hour",
            "Tag": "key:cluster value:prod; key:team value:data", "BillAccountID": "77",
        }  # fmt: skip
        oss = {**item, "ProductCode": "oss", "ProductName": "OSS", "BillingItemCode": "Storage", "PretaxAmount": 0.5,
               "BillingItem": "Standard storage", "InstanceID": "cn-hangzhou;standard", "Tag": ""}  # fmt: skip
        last = "NextToken" in query
        data = {
            "AccountID": "77",
            "TotalCount": 2,
            "Items": [oss if last else item],
            "NextToken": None if last else "p2",
        }
        self._say(200, {"Success": True, "Code": "Success", "RequestId": "r", "Data": data})

    def _say(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def bss() -> Iterator[tuple[str, list[dict[str, str]]]]:
    handler = type("Handler", (Bss,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler.asked
    server.shutdown()
    server.server_close()


def test_alibaba_is_asked_day_by_day_in_pages_and_signed(bss: Any, tmp_path: Path) -> None:
    url, asked = bss
    clock = HandClock(NOW)
    bill = opened(tmp_path, clock, kind="alibaba", url=url, scope=Scope(account="77"))
    assert bill.refresh()
    assert len(asked) == 62
    assert (
        asked[0] | {"BillingDate": "2026-10-20", "Granularity": "DAILY", "Action": "DescribeInstanceBill"} == asked[0]
    )
    assert costs(bill) == {"compute": 62.0, "storage": 15.5}
    assert {line.currency for line in bill.components()} == {"CNY"}
    assert bill.closed_until(NOW) == date(2026, 11, 18)
    assert not bill.refresh()


def test_alibaba_says_what_it_refused_and_what_is_missing(bss: Any, tmp_path: Path) -> None:
    wrong = AlibabaBill({**KEYS, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "x"}, tmp_path / "a.json", HandClock(NOW), bss[0])
    with pytest.raises(BillError, match="refused 2026-10-20: SignatureDoesNotMatch"):
        wrong.look()
    with pytest.raises(BillError, match="needs 'ALIBABA_CLOUD_ACCESS_KEY_ID' in the environment"):
        AlibabaBill({}, tmp_path / "b.json", HandClock(NOW), bss[0]).look()


def test_no_more_calls_are_made_than_a_day_may_have(tmp_path: Path) -> None:
    clock = HandClock(NOW)
    days = DayCache(tmp_path / "a.json", clock, late_s=0, most_calls=2)
    days.count_call()
    days.count_call()
    again = DayCache(tmp_path / "a.json", clock, late_s=0, most_calls=2)
    with pytest.raises(BillError, match="2 calls were made today"):
        again.count_call()
    clock.wind(86_400)
    again.count_call()
    assert again.calls == 3


def test_an_unknown_kind_and_an_unknown_scheme_are_named(tmp_path: Path) -> None:
    with pytest.raises(BillError, match="no bill is of kind 'magic'"):
        opened(tmp_path, HandClock(NOW), kind="magic", url="x")
    with pytest.raises(BillError, match="cannot read a bill from 'ftp://x'"):
        opened(tmp_path, HandClock(NOW), url="ftp://x")
