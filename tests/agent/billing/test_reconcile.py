"""The meter against the bill of another author: silent while they agree, and every spoiled component is named."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from agent.billing.reconcile import compare
from tests.agent.billing.spoiling import NOW, START, Books, Rows, cloud_rows, dearer, of

WHOLE = cloud_rows()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    desk = Books(tmp_path_factory.mktemp("books"), [WHOLE[0]])
    yield desk
    desk.close()


@pytest.fixture
def books(desk: Books) -> Callable[[Rows], Books]:
    return desk.spoil


def test_the_unspoiled_bill_agrees_with_the_meter_on_every_component(books: Callable[[Rows], Books]) -> None:
    unspoiled = books(WHOLE)
    assert unspoiled.fired() == set()
    totals: dict[tuple[str, str], float] = {}
    for row in unspoiled.meter.settled(NOW - timedelta(days=7), NOW):
        totals[row.component, row.basis] = totals.get((row.component, row.basis), 0.0) + row.usd_per_hour
    for component in ("compute", "requests", "storage", "wal", "network"):
        assert totals[component, "bill"] == pytest.approx(totals[component, "meter"], rel=1e-6)


@pytest.mark.parametrize("component", ["compute", "requests", "storage", "wal", "network"])
def test_a_price_that_is_12_per_cent_higher_names_its_component(books: Callable[[Rows], Books], component: str) -> None:
    assert books([dearer(row, 1.12) if of(component, row) else row for row in WHOLE]).fired() == {component}


def test_storage_that_nobody_owns_is_named(books: Callable[[Rows], Books]) -> None:
    orphan = [{**dearer(row, 0.3), "ResourceId": "s3://left-behind"} for row in WHOLE if of("storage", row)]
    assert books([*WHOLE, *orphan]).fired() == {"storage"}


def test_traffic_through_nat_is_named(books: Callable[[Rows], Books]) -> None:
    nat = [
        {**row, "SkuMeter": "NatGateway-Bytes", "ChargeDescription": "NAT gateway bytes", "ResourceId": "nat-1"}
        for row in WHOLE
        if of("requests", row)
    ]
    assert books([*WHOLE, *nat]).fired() == {"nat"}


def test_a_transfer_that_is_charged_twice_on_each_side_is_named(books: Callable[[Rows], Books]) -> None:
    assert books([dearer(row, 2.0) if of("network", row) else row for row in WHOLE]).fired() == {"network"}


def test_both_sides_of_a_transfer_are_charged_once(books: Callable[[Rows], Books]) -> None:
    whole = books(WHOLE)
    moved_gb = 3 * 8e6 * 96 * 3600 / 2**30
    assert whole.bill.cross_zone_gb() == pytest.approx(moved_gb)
    costs = {line.component: line.usd for line in whole.bill.components()}
    assert costs["network"] == pytest.approx(0.02 * moved_gb)


def test_rows_without_tags_are_named_and_counted(books: Callable[[Rows], Books]) -> None:
    spoiled = books([{**row, "Tags": None} if of("wal", row) else row for row in WHOLE])
    assert spoiled.fired() == {"wal"}
    (wal,) = [row for row in spoiled.verdict().rows if row.resource == "c/component/wal"]
    assert dict(wal.evidence)["untagged_usd_per_day"] == pytest.approx(3 * 1000 * 0.08 * 24 / 730)


def test_another_accounts_rows_are_out(books: Callable[[Rows], Books]) -> None:
    others = [{**dearer(row, 5.0), "SubAccountId": "somebody", "BillingAccountId": "else"} for row in WHOLE]
    spoiled = books([*WHOLE, *others])
    assert spoiled.fired() == set()
    assert spoiled.bill.owners()["others"] == len(WHOLE)


def test_days_that_are_late_are_not_compared(books: Callable[[Rows], Books]) -> None:
    cut = (START + timedelta(days=2)).isoformat()
    late = books([row for row in WHOLE if str(row["ChargePeriodStart"]) < cut])
    comparison = compare(late.ledger, late.bill, NOW - timedelta(days=7), NOW)
    assert comparison.days == (date(2026, 11, 16), date(2026, 11, 17))
    assert late.fired() == set()


def test_a_component_whose_last_day_is_late_is_not_missed_before_its_time(books: Callable[[Rows], Books]) -> None:
    last = (START + timedelta(days=3)).isoformat()
    behind = [row for row in WHOLE if not of("storage", row) or str(row["ChargePeriodStart"]) < last]
    assert books(behind).fired() == set()


def test_a_day_that_the_meter_hardly_watched_is_not_compared(tmp_path: Path) -> None:
    blind = Books(tmp_path, WHOLE, watched=0.5)
    comparison = compare(blind.ledger, blind.bill, NOW - timedelta(days=7), NOW)
    assert comparison.days == ()
    assert any("the meter watched 12.0 of 24 hours" in note for note in comparison.notes)
    verdict = blind.verdict()
    assert {row.fired for row in verdict.rows} == {None}
    blind.close()
