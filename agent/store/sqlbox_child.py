"""The process that runs one foreign SELECT: it holds what it was handed, may reach nothing, and dies over a limit.

Run by path (`python -I sqlbox_child.py`), so it imports nothing of the agent. On stdin: a line with the question and
the limits; then, once it has answered with the tables that the query reads, a line that says in which files their rows
are. On stdout: a line of JSON each time. The order matters: limits first, then the parser, then the files, then the
lock, and only then the query.
"""

from __future__ import annotations

import json
import math
import resource
import sys
from datetime import date, datetime
from typing import Any

CONFIG: dict[str, Any] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "temp_directory": "",
    "threads": "1",
    "memory_limit": "256MB",
    "max_expression_depth": "250",
}


def main() -> int:
    asked = json.loads(sys.stdin.readline())
    resource.setrlimit(resource.RLIMIT_AS, (asked["memory_bytes"], asked["memory_bytes"]))
    resource.setrlimit(resource.RLIMIT_CPU, (asked["cpu_s"], asked["cpu_s"]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import duckdb

    try:
        with duckdb.connect(":memory:", config=CONFIG) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET python_enable_replacements = false")
            statements = connection.extract_statements(asked["sql"])
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                kinds = ", ".join(statement.type.name for statement in statements) or "nothing"
                return _refuse(f"the query must be one SELECT; it is {kinds}")
            tree = connection.execute("SELECT json_serialize_sql(?)", [asked["sql"]]).fetchall()[0][0]
            _say({"tables": sorted(_named(json.loads(tree)))})
            for table in json.loads(sys.stdin.readline()):
                _load(connection, table)
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            _say(_run(connection, asked["sql"], asked["most_rows"]))
            return 0
    except (duckdb.Error, MemoryError) as error:
        return _refuse(str(error).strip().split("\n", 1)[0] or "out of memory")


def _named(tree: Any) -> set[str]:
    """The tables that the parsed query reads, without those it defines itself. (`get_table_names` trips over USING.)"""
    read: set[str] = set()
    defined: set[str] = set()
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, list):
            nodes += node
        elif isinstance(node, dict):
            if node.get("type") == "BASE_TABLE":
                read.add(str(node["table_name"]))
            defined |= {str(one["key"]) for one in (node.get("cte_map") or {}).get("map", ())}
            nodes += node.values()
    return read - defined


def _load(connection: Any, table: dict[str, Any]) -> None:
    columns = ", ".join(f'"{name}" {kind}' for name, kind in table["columns"].items())
    connection.execute(f'CREATE TABLE "{table["name"]}" ({columns})')
    if table["file"]:
        kinds = ", ".join(f"\"{name}\": '{kind}'" for name, kind in table["columns"].items())
        connection.execute(
            f"INSERT INTO \"{table['name']}\" SELECT * FROM read_json(?, format = 'newline_delimited', "
            f"columns = {{{kinds}}}, maximum_object_size = 16777216)",
            [table["file"]],
        )


def _run(connection: Any, sql: str, most: int) -> dict[str, Any]:
    connection.execute("BEGIN TRANSACTION READ ONLY")
    found = connection.execute(sql)
    names = [column[0] for column in found.description]
    timed = [str(column[1]) == "TIMESTAMP WITH TIME ZONE" for column in found.description]
    if any(timed):
        # The driver hands out zoned times only with a time-zone package; as UTC without a zone it does by itself.
        columns = ", ".join(
            f"timezone('UTC', #{n}) AS c{n}" if zoned else f"#{n} AS c{n}" for n, zoned in enumerate(timed, start=1)
        )
        found = connection.execute(f"SELECT {columns} FROM (\n{sql.rstrip().rstrip(';')}\n)")
    rows = found.fetchmany(most + 1)
    return {
        "columns": names,
        "rows": [[_cell(value, zoned=zoned) for value, zoned in zip(row, timed, strict=True)] for row in rows[:most]],
        "truncated": len(rows) > most,
    }


def _cell(value: Any, *, zoned: bool = False) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_cell(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _cell(item) for name, item in value.items()}
    if isinstance(value, datetime | date):
        return value.isoformat() + ("Z" if zoned else "")
    return str(value)


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _refuse(reason: str) -> int:
    _say({"refused": reason})
    return 1


if __name__ == "__main__":
    sys.exit(main())
