"""How the matrix is shown: a line per cell, the grid, and `docs/clients.md`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.clients.cells import COLUMNS, MEANINGS
from tests.clients.one import Described

SHARE_GROUPS = """\
## Share groups

`make share-groups` tries KafkaShareConsumer of the Java client 4.4.0 (KIP-932): two members share a partition, and each
record comes to one of them, once; what is released comes again with a delivery count of 2, what is rejected does not;
what a member says nothing about is given to the other one when its lock lapses; and kill -9 of the broker that leads
loses nothing, nor does anything come again that was accepted. The settings are the client's defaults, and of the group
`share.auto.offset.reset`. No other client here has share groups.
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """How one client did, by column."""

    client: str
    described: Described
    faults: dict[str, list[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def state(self, column: str) -> str:
        """One word."""
        if self.faults.get(column):
            return "FAULT"
        return "works" if column in self.seconds else "cannot"

    def line(self, column: str) -> str:
        """One line for people."""
        head = f"{self.client:22} {column:13}"
        if self.faults.get(column):
            return f"{head} FAULT: {'; '.join(self.faults[column][:3])}"[:600]
        if column in self.seconds:
            return f"{head} works, {self.seconds[column]:.1f} s"
        return f"{head} cannot: {self.described.cannot[column]}"


def table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """The grid, for a terminal."""
    lines = [f"{'':22} {'version':14} " + " ".join(f"{column:>12}" for column in columns)]
    for row in rows:
        states = " ".join(f"{row.state(column):>12}" for column in columns)
        lines.append(f"{row.client:22} {row.described.version[:14]:14} {states}")
    return "\n".join(lines)


def page(rows: Sequence[Row]) -> str:
    """`docs/clients.md`."""
    parts = [
        "# Kafka clients, and what was tried with each\n",
        "Written by `make clients ARGS=--write`, when every cell is right: each is a real client that does one thing",
        "to three brokers, and what was read is compared with all that was sent, in order.\n",
        "| what | how it is tried |",
        "|---|---|",
        *(f"| {column} | {MEANINGS[column]} |" for column in COLUMNS),
        "\n## The grid\n",
        f"| client | version | {' | '.join(COLUMNS)} |",
        "|---|---" + "|---" * len(COLUMNS) + "|",
        *(
            f"| {row.client} | {row.described.version} | {' | '.join(row.state(each) for each in COLUMNS)} |"
            for row in rows
        ),
        "\n## What a client cannot do, and why\n",
        *_listed((row.client, row.described.cannot) for row in rows),
        "\n## Settings that are needed\n",
        "Beside the address, and user and password where there are any. All of them are documented by the client.\n",
        *_listed((row.client, row.described.settings) for row in rows),
        "",
        SHARE_GROUPS,
    ]
    return "\n".join(parts)


def _listed(named: Iterable[tuple[str, Mapping[str, str]]]) -> list[str]:
    rows = [f"| {client} | {column} | {text} |" for client, texts in named for column, text in texts.items()]
    return ["| client | column | |", "|---|---|---|", *rows]
