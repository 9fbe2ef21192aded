"""A small rule page that tests bend one line at a time, and the built-in ones, which nobody bends."""

from functools import cache

from rules import catalogue

PAGE = """---
id: TST-01
title: A broker is busy
level: P1
scope: broker
kinds: [bundled, automq, kafka]
needs: [broker_load]
unit: "bytes/s"
every: 10s
window: 1m
min_age: 1m
persist: 3 of 4
thresholds:
  floor: {value: 100, why: "below it, nobody minds"}
explained_by: {}
action: Client
---
## What it sees
Bytes.

## Why it matters
It does.

## When it is wrong
Never.

## What to do
Look.

## Query
```sql
SELECT resource, bytes_in_per_s > $floor AS fired, bytes_in_per_s AS observed, $floor AS "limit",
       coalesce(bytes_in_per_s / $floor, 0) AS score, NULL::DOUBLE AS usd_per_month,
       as_of AS asked_at, broker AS action_broker
FROM broker_load
```

## Cases
```yaml
name: A busy broker fires
steps:
  - broker_load:
      - {resource: demo/broker/1, bytes_in_per_s: 1 KiB}
expect: [demo/broker/1]
```

```yaml
name: A quiet broker stays silent
steps:
  - broker_load:
      - {resource: demo/broker/1, bytes_in_per_s: 10}
expect: []
because: "ten bytes"
```
"""


def page(*changes: tuple[str, str]) -> str:
    """The page with each (old, new) replaced once; an `old` that is not there is the test's mistake."""
    text = PAGE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def with_query(sql: str) -> str:
    """The page with another query."""
    head, rest = PAGE.split("```sql\n", 1)
    return f"{head}```sql\n{sql}\n```{rest.split('```', 1)[1]}"


@cache
def built_in() -> catalogue.Catalogue:
    """Read once for all tests."""
    return catalogue.load()
