"""One SQL text for two engines."""

import pytest

from broker.metadata.dialect import batch, for_postgres, numbered, schema_for_postgres
from broker.metadata.schema import MIGRATIONS
from broker.metadata.urls import shown


def test_placeholders_are_numbered_and_quoted_text_is_left_alone() -> None:
    assert numbered("a = ? AND b = 'what?' AND c = ?", "$") == "a = $1 AND b = 'what?' AND c = $2"
    assert for_postgres("x IN ({keys}) AND y = ?", 1) == "x = ANY($2) AND y = $1"


def test_a_migration_keeps_no_word_that_only_sqlite_knows() -> None:
    translated = "\n".join(schema_for_postgres(script) for script in MIGRATIONS)
    for word in ("INTEGER", "BLOB", "ROWID", "AUTOINCREMENT", "x''", "TEXT NOT"):
        assert word not in translated


@pytest.mark.parametrize(
    ("one", "many", "keys"),
    [
        (
            "INSERT INTO t(a, b) VALUES ($1, $2)",
            "INSERT INTO t(a, b) SELECT new.v1, new.v2 FROM unnest($1::int8[], $2::text[]) AS new(v1, v2)",
            (),
        ),
        (
            "INSERT INTO t(a, b, c) VALUES ($1, 7, $2) ON CONFLICT (c) DO UPDATE SET a = excluded.a",
            "INSERT INTO t(a, b, c) SELECT new.v1, 7, new.v2 FROM unnest($1::int8[], $2::text[]) AS new(v1, v2)"
            " ON CONFLICT (c) DO UPDATE SET a = excluded.a",
            (1,),
        ),
        (
            "UPDATE t SET a = a + $1 WHERE b = $2",
            "UPDATE t SET a = a + new.v1 FROM unnest($1::int8[], $2::text[]) AS new(v1, v2) WHERE b = new.v2",
            (1,),
        ),
        (
            "DELETE FROM t WHERE a = $1 AND b = $2",
            "DELETE FROM t USING unnest($1::int8[], $2::text[]) AS new(v1, v2) WHERE a = new.v1 AND b = new.v2",
            (),
        ),
    ],
)
def test_a_statement_for_one_row_becomes_one_for_many(one: str, many: str, keys: tuple[int, ...]) -> None:
    made = batch(one, ["int8", "text"])
    assert made is not None
    assert (made.sql, made.keys) == (many, keys)


def test_a_form_that_is_not_known_stays_one_for_each_row() -> None:
    assert batch("WITH x AS (SELECT 1) SELECT $1", ["int8"]) is None
    assert batch("INSERT INTO t(a) VALUES (lower($1))", ["text"]) is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:p@w@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("postgresql://u@h/db?password=p&x=1", "postgresql://u@h/db?password=***&x=1"),
        ("postgresql://h/db", "postgresql://h/db"),
        ("sqlite:///a/b.db", "sqlite:///a/b.db"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, said: str) -> None:
    assert shown(url) == said
