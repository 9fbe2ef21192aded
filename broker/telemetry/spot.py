"""What the broker knows of its machine's end."""

from __future__ import annotations

from broker.spot.watch import SpotWatch
from broker.telemetry.exposition import Page


def write_spot(page: Page, spot: SpotWatch) -> None:
    """A series for each notice that stands; nothing at all without `--spot-notices`."""
    page.table("kafka_stream_spot_look_count_total", spot.looks)
    seen, by = {}, {}
    for kind, each in spot.standing.items():
        labels = (kind, each.notice.source, each.notice.detail)
        seen[labels] = each.since_ms / 1000
        if each.notice.deadline_ms is not None:
            by[labels] = each.notice.deadline_ms / 1000
    page.table("kafka_stream_spot_notice_timestamp_seconds", seen)
    page.table("kafka_stream_spot_notice_deadline_timestamp_seconds", by)
