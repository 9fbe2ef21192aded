"""The canonical views as rows, for the API and the planner: filled by the same source that the rules read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from agent.loop.refused import Refused
from rules.engine import NoData, ViewSource, Workspace
from rules.views import VIEWS

Row = dict[str, Any]
WINDOW_S = 60.0


class Glance:
    """The views at one instant; each is filled at most once. Close it: it holds a DuckDB in memory."""

    def __init__(self, source: ViewSource, at: datetime, window_s: float = WINDOW_S) -> None:
        self._workspace = Workspace(source, at)
        self._window_s = window_s
        self.at = at

    def __enter__(self) -> Glance:
        return self

    def __exit__(self, *error: object) -> None:
        self._workspace.__exit__(None, None, None)

    def rows(self, view: str) -> list[Row]:
        """The view's rows as JSON cells; none where the source knows nothing."""
        if view not in VIEWS:
            raise Refused(f"no view {view!r}", f"the views are {', '.join(sorted(VIEWS))}", number=404)
        try:
            return [dict(row) for row in self._workspace.rows(view, self._window_s)]
        except NoData:
            return []
