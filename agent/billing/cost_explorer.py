"""AWS Cost Explorer (`GetCostAndUsage`) through boto3, for accounts without an export.

Each page costs a cent and is counted. Days by usage type, and by the cluster's first tag where one is configured: the
API groups by two things at most, so there are no resources, and rows without the tag are seen as such.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from agent.billing.columns import keep
from agent.billing.daily import BillRow, DayCache, day_row
from agent.billing.errors import BillError
from agent.billing.scope import Scope
from agent.model.clock import Clock

USD_PER_CALL = 0.01
LATE_S = 86_400.0
MOST_PAGES = 50
MOST_CALLS = 100
"""A day: a dollar."""
TIMEOUT_S = 20


class CostExplorerBill:
    """One account's days. Credentials come from where boto3 finds them."""

    name = "AWS Cost Explorer"
    remote = True
    late_s = LATE_S

    def __init__(self, scope: Scope, cache: Path, clock: Clock, endpoint: str = "") -> None:
        self._scope = scope
        self._days = DayCache(cache, clock, late_s=LATE_S, most_calls=MOST_CALLS)
        self._endpoint = endpoint

    @property
    def calls(self) -> int:
        """Paid for so far."""
        return self._days.calls

    def look(self) -> str:
        wanted = self._days.wanted()
        if wanted:
            found: dict[date, list[BillRow]] = {day: [] for day in wanted}
            for day, row in self._rows(wanted[0], wanted[-1] + timedelta(days=1)):
                if day in found:
                    found[day].append(row)
            self._days.store(found)
        return self._days.state

    def selects(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        return [keep(connection, "cost_explorer", self._days.rows())]

    def notes(self) -> list[str]:
        paid = USD_PER_CALL * self.calls
        return [f"{self.calls} calls to Cost Explorer cost ${paid:.2f}; rows have no resources"]

    def _rows(self, since: date, until: date) -> Iterator[tuple[date, BillRow]]:
        client = _client(self._endpoint)
        tag = next(iter(self._scope.tags), "")
        groups = [{"Type": "DIMENSION", "Key": "USAGE_TYPE"}]
        groups.append({"Type": "TAG", "Key": tag} if tag else {"Type": "DIMENSION", "Key": "SERVICE"})
        asked: dict[str, Any] = {
            "TimePeriod": {"Start": since.isoformat(), "End": until.isoformat()},
            "Granularity": "DAILY",
            "Metrics": ["UnblendedCost", "AmortizedCost", "UsageQuantity"],
            "GroupBy": groups,
        }
        if self._scope.account:
            asked["Filter"] = {"Dimensions": {"Key": "LINKED_ACCOUNT", "Values": [self._scope.account]}}
        for _ in range(MOST_PAGES):
            answer = self._ask(client, asked)
            for result in answer["ResultsByTime"]:
                day = date.fromisoformat(result["TimePeriod"]["Start"][:10])
                for group in result.get("Groups", []):
                    yield day, self._row(day, group["Keys"], group["Metrics"], tag)
            if not (token := answer.get("NextPageToken")):
                return
            asked["NextPageToken"] = token
        raise BillError(f"Cost Explorer gave more than {MOST_PAGES} pages: set bill.account and bill.tags")

    def _ask(self, client: Any, asked: dict[str, Any]) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        self._days.count_call()
        try:
            answer: dict[str, Any] = client.get_cost_and_usage(**asked)
        except (BotoCoreError, ClientError) as error:
            raise BillError(f"Cost Explorer refused: {error}; it needs ce:GetCostAndUsage and credentials") from error
        return answer

    def _row(self, day: date, keys: Sequence[str], metrics: dict[str, Any], tag: str) -> BillRow:
        amounts: defaultdict[str, dict[str, str]] = defaultdict(dict, metrics)
        _, _, value = keys[1].partition("$")
        return day_row(
            day,
            ProviderName="AWS",
            ChargeCategory="Usage",
            SkuMeter=keys[0],
            ServiceName=None if tag else keys[1],
            SubAccountId=self._scope.account or None,
            BilledCost=amounts["UnblendedCost"].get("Amount", "0"),
            EffectiveCost=amounts["AmortizedCost"].get("Amount"),
            BillingCurrency=amounts["UnblendedCost"].get("Unit", "USD"),
            ConsumedQuantity=amounts["UsageQuantity"].get("Amount"),
            Tags=_tag_json(tag, value) if tag and value else None,
        )


def _tag_json(key: str, value: str) -> str:
    import json

    return json.dumps({key: value})


def _client(endpoint: str) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise BillError(f"Cost Explorer needs boto3 ({error}): pip install 'streampilot[aws]'") from error
    settings = Config(connect_timeout=5, read_timeout=TIMEOUT_S, retries={"max_attempts": 2})
    try:
        return boto3.client("ce", region_name="us-east-1", config=settings, endpoint_url=endpoint or None)
    except (BotoCoreError, ValueError) as error:
        raise BillError(f"Cost Explorer cannot be asked: {error}") from error
