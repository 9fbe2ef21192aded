"""Writes rows as Parquet, in a process of its own: DuckDB would double the broker's memory and its time to start.

    python -m broker.bill.parquet FILE < rows.json        {"columns": {name: type}, "rows": [...]}

The file appears whole or not at all: written beside its place, fsynced, renamed, and the directory fsynced.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def write(path: Path, columns: dict[str, str], rows: list[dict[str, object]]) -> None:
    """Replaces `path` by a Parquet file of `rows`."""
    import duckdb

    beside = path.with_suffix(".tmp")
    source = path.with_suffix(".json.tmp")
    source.write_text(json.dumps(rows), encoding="utf-8")
    shapes = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
    try:
        with duckdb.connect(":memory:", config={"threads": 1}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(
                f"COPY (FROM read_json($source, format = 'array', columns = {{{shapes}}})) "
                "TO $target (FORMAT parquet, COMPRESSION zstd)",
                {"source": str(source), "target": str(beside)},
            )
    finally:
        source.unlink(missing_ok=True)
    _sync(beside)
    beside.replace(path)
    _sync(path.parent)


def main() -> int:
    """The process: rows on stdin, the target as the only argument."""
    job = json.load(sys.stdin)
    try:
        write(Path(sys.argv[1]), job["columns"], job["rows"])
    except Exception as error:
        print(f"the bill {sys.argv[1]} was not written: {error}", file=sys.stderr)
        return 1
    return 0


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


if __name__ == "__main__":
    sys.exit(main())
