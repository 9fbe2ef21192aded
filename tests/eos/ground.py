"""What the three brokers stand on: files, or PostgreSQL and S3, with the WAL on disk or in the object store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.chaos.cells import Cell
from tests.chaos.services import BUCKET, S3, Postgres, s3_environment
from tests.faults.brokers import Brokers


@contextmanager
def standing(cell: Cell, directory: Path) -> Iterator[Brokers]:
    """Brokers that are still to be started, and the stores below them, which outlive every kill."""
    with ExitStack() as stores:
        flags = ["--wal", "objects://"] if cell.object_wal else []
        environment = None
        if cell.postgres:
            postgres = Postgres(directory / "postgres")
            stores.callback(postgres.stop)
            flags += ["--metadata", postgres.url]
        if cell.s3:
            s3 = stores.enter_context(S3())
            flags += ["--objects", f"s3://{BUCKET}/eos"]
            environment = s3_environment(s3.port)
        brokers = Brokers(directory, flags=tuple(flags), environment=environment)
        stores.callback(brokers.stop)
        yield brokers
