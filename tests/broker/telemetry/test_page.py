"""What a broker shows: every metric is in the catalogue, and every figure of the storage side is shown."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from broker.log.config import CacheStats, StorageStats
from broker.telemetry.catalogue import FAMILIES, SECTIONS
from broker.telemetry.exposition import Page
from broker.telemetry.storage import write_caches, write_compaction, write_objects, write_operations
from tests.bars.cluster import Cluster

NOT_FIGURES = {"on_operation", "on_upload_bytes", "on_hold", "tail", "index", "block"}
UNSEEN_BY_ITSELF = {"wal_capacity_bytes", "wal_errors", "unreachable_wals", "snapshot_at_ms", "cleaned_without_key"}


def shown(stats: StorageStats) -> str:
    page = Page()
    write_operations(page, stats, 0)
    write_compaction(page, stats)
    write_objects(page, stats, controller=True)
    return page.text()


@pytest.mark.parametrize("figure", sorted(set(vars(StorageStats())) - NOT_FIGURES - UNSEEN_BY_ITSELF))
def test_every_figure_of_the_storage_side_changes_the_page(figure: str) -> None:
    stats = StorageStats(snapshot_at_ms=1)
    before = shown(stats)
    kind = type(getattr(stats, figure))
    setattr(stats, figure, {"tail": 7} if kind is dict else kind(7))
    assert shown(stats) != before


def test_every_figure_of_a_cache_changes_the_page() -> None:
    for figure in vars(CacheStats()):
        page, other = Page(), Page()
        write_caches(page, {"tail": CacheStats()})
        write_caches(other, {"tail": CacheStats(**{figure: 7})})
        assert page.text() != other.text(), figure


def test_a_metric_that_the_catalogue_does_not_have_is_refused() -> None:
    with pytest.raises(KeyError):
        Page().one("kafka_made_up", 1.0)


def test_no_metric_is_listed_twice_and_counters_say_so_in_their_name() -> None:
    assert len(FAMILIES) == sum(len(part) for part in SECTIONS.values())
    assert all(name.endswith("_total") == (family.kind == "counter") for name, family in FAMILIES.items())


def test_a_real_broker_shows_only_what_is_listed_with_its_help(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 1)
    cluster.start()
    try:
        lines = cluster.page(0).splitlines()
        with urllib.request.urlopen(f"{cluster.http[0]}/readyz") as answer:
            assert answer.status == 200
    finally:
        cluster.stop()
    helped = {line.split(" ", 3)[2]: line.split(" ", 3)[3] for line in lines if line.startswith("# HELP")}
    assert helped == {name: FAMILIES[name].help for name in helped}
    assert {"kafka_stream_wal_used_bytes", "kafka_stream_cache_bytes", "kafka_stream_operation_latency_seconds"} <= {
        *helped
    }
