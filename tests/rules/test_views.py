"""The canonical views: their tables can be made, and rows go in as they are named."""

from datetime import UTC, datetime

import pytest

from rules import sandbox, views


def test_every_view_makes_its_table_with_the_common_columns_and_its_key():
    with sandbox.database() as connection:
        for view in views.VIEWS.values():
            connection.execute(view.ddl)
            assert {"cluster", "resource", "as_of", "window_s", "data_age_s", *view.key} <= set(view.columns)


def test_what_a_row_does_not_name_is_unknown():
    at = datetime(2026, 3, 4, tzinfo=UTC)
    with sandbox.database() as connection:
        connection.execute(views.VIEWS["partition"].ddl)
        rows = [{"topic": "t", "partition": 0, "replicas": ["1", "2"], "as_of": at}, {"topic": "t", "partition": 1}]
        assert views.insert(connection, "partition", rows) == 2
        found = connection.execute("SELECT partition, replicas, leader, epoch(as_of) FROM partition").fetchall()
    assert found == [(0, ["1", "2"], None, at.timestamp()), (1, None, None, None)]


def test_a_column_that_the_view_does_not_have_is_refused():
    with sandbox.database() as connection:
        connection.execute(views.VIEWS["broker"].ddl)
        with pytest.raises(KeyError, match="view broker has no column 'colour'"):
            views.insert(connection, "broker", [{"colour": "red"}])
