"""Alibaba Cloud BSS, `DescribeInstanceBill` (version 2017-12-14), a day at a time by billable item.

The request is the SDK's RPC call, signed with HMAC-SHA1, so that the SDK need not be installed; the answer's shape is
its `DescribeInstanceBillResponseBody`. Key and secret: `ALIBABA_CLOUD_ACCESS_KEY_ID`, `ALIBABA_CLOUD_ACCESS_KEY_SECRET`
and, where there is one, `ALIBABA_CLOUD_SECURITY_TOKEN`.

Limits: instances are 48 h late; 10 calls a second; no cost of a single OSS bucket without Split Bill.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import httpx

from agent.billing.columns import keep
from agent.billing.daily import BillRow, DayCache, day_row
from agent.billing.errors import BillError
from agent.model.clock import Clock

ENDPOINT = "https://business.aliyuncs.com"
LATE_S = 48 * 3600.0
PACE_S = 0.1
PAGE = 300
MOST_PAGES = 200
MOST_CALLS = 5_000
"""A day; they are free, and 10 a second are allowed."""
TIMEOUT_S = 20.0
CATEGORIES = {"ecs": "Compute", "oss": "Storage", "yundisk": "Storage", "slb": "Networking", "eip": "Networking"}


class AlibabaBill:
    """One account's days."""

    remote = True
    late_s = LATE_S

    def __init__(self, environment: Mapping[str, str], cache: Path, clock: Clock, endpoint: str = "") -> None:
        self._environment = environment
        self._days = DayCache(cache, clock, late_s=LATE_S, most_calls=MOST_CALLS)
        self._clock = clock
        self._endpoint = (endpoint or ENDPOINT).rstrip("/")

    @property
    def name(self) -> str:
        return f"Alibaba BSS at {self._endpoint}"

    @property
    def calls(self) -> int:
        return self._days.calls

    def look(self) -> str:
        with httpx.Client(timeout=TIMEOUT_S) as client:
            for day in self._days.wanted():
                self._days.store({day: list(self._rows(client, day))})
        return self._days.state

    def selects(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        return [keep(connection, "alibaba", self._days.rows())]

    def notes(self) -> list[str]:
        return [f"{self.calls} calls to Alibaba BSS; OSS is not split by bucket without Split Bill"]

    def _rows(self, client: httpx.Client, day: date) -> Iterator[BillRow]:
        token = ""
        for _ in range(MOST_PAGES):
            answer = self._ask(client, day, token)
            data = answer.get("Data") or {}
            for item in data.get("Items") or []:
                yield _row(day, item, str(data.get("AccountID", "")))
            token = str(data.get("NextToken") or "")
            if not token:
                return
        raise BillError(f"{self.name} gave more than {MOST_PAGES} pages for {day}: ask for a smaller account")

    def _ask(self, client: httpx.Client, day: date, token: str) -> dict[str, Any]:
        query = {
            "BillingCycle": f"{day:%Y-%m}",
            "BillingDate": day.isoformat(),
            "Granularity": "DAILY",
            "IsBillingItem": "true",
            "MaxResults": str(PAGE),
            **({"NextToken": token} if token else {}),
        }
        self._days.count_call()
        self._clock.sleep(PACE_S)
        try:
            answer = client.post(f"{self._endpoint}/", params=self._signed(query))
            body: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise BillError(
                f"{self.name} did not answer: {error or type(error).__name__}; it is asked again"
            ) from error
        if answer.is_error or body.get("Success") is not True:
            raise BillError(
                f"{self.name} refused {day}: {body.get('Code')} {body.get('Message')}; "
                "it needs bss:DescribeInstanceBill (AliyunBSSReadOnlyAccess)"
            )
        return body

    def _signed(self, query: Mapping[str, str]) -> dict[str, str]:
        try:
            key = self._environment["ALIBABA_CLOUD_ACCESS_KEY_ID"]
            secret = self._environment["ALIBABA_CLOUD_ACCESS_KEY_SECRET"]
        except KeyError as error:
            raise BillError(f"{self.name} needs {error} in the environment") from None
        now = self._clock.now()
        whole = {
            **query,
            "Action": "DescribeInstanceBill",
            "Version": "2017-12-14",
            "Format": "JSON",
            "AccessKeyId": key,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": f"{now.timestamp():.6f}-{self._days.calls}",
            "Timestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        }
        if session := self._environment.get("ALIBABA_CLOUD_SECURITY_TOKEN", ""):
            whole["SecurityToken"] = session
        return {**whole, "Signature": signature(whole, secret)}


def signature(query: Mapping[str, str], secret: str, method: str = "POST") -> str:
    """The RPC signature of Alibaba Cloud: HMAC-SHA1 over the sorted, percent-encoded query."""
    canonical = "&".join(f"{_encoded(name)}={_encoded(query[name])}" for name in sorted(query))
    text = f"{method}&{_encoded('/')}&{_encoded(canonical)}"
    return base64.b64encode(hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha1).digest()).decode()


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def _row(day: date, item: Mapping[str, Any], account: str) -> BillRow:
    """PretaxAmount is what is owed after discounts, PretaxGrossAmount the list price."""
    product = str(item.get("ProductCode") or "").lower()
    return day_row(
        day,
        ProviderName="Alibaba Cloud",
        BillingAccountId=item.get("BillAccountID") or account,
        SubAccountId=item.get("OwnerID"),
        ServiceName=item.get("ProductName") or product,
        ServiceCategory=CATEGORIES.get(product),
        ChargeCategory="Usage" if item.get("SubscriptionType") == "PayAsYouGo" else "Purchase",
        ChargeDescription=" ".join(str(item[name]) for name in ("ProductDetail", "BillingItem") if item.get(name)),
        RegionId=item.get("Region"),
        AvailabilityZone=item.get("Zone"),
        ResourceId=item.get("InstanceID"),
        SkuId=item.get("CommodityCode"),
        SkuMeter=item.get("BillingItemCode") or item.get("BillingItem"),
        ConsumedQuantity=item.get("Usage") or None,
        ConsumedUnit=item.get("UsageUnit"),
        BilledCost=item.get("PretaxAmount", 0),
        EffectiveCost=item.get("PretaxAmount", 0),
        ListCost=item.get("PretaxGrossAmount"),
        BillingCurrency=item.get("Currency"),
        Tags=_tags(str(item.get("Tag") or "")),
    )


def _tags(text: str) -> str | None:
    """`key:cluster value:prod; key:team value:data` as JSON."""
    pairs = dict(re.findall(r"key:(.*?) value:(.*?)(?:; |$)", text))
    return json.dumps(pairs) if pairs else None
