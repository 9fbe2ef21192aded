"""Where a cluster is: `zones` by address, and the `timezone` in which its people write times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agent.collect.zones import Zones
from agent.loop.refused import Refused


def zones_of(value: Any, source: str) -> Mapping[str, str]:
    """CIDR to zone; Refused names the block that is none."""
    if value is not None and not isinstance(value, dict):
        raise Refused(f"{source}: cluster.zones is no table", 'write it like zones = { "10.0.1.0/24" = "use1-az1" }')
    blocks = {str(block): str(zone) for block, zone in (value or {}).items()}
    for block in blocks:
        try:
            Zones({block: ""})
        except ValueError as error:
            raise Refused(f"{source}: cluster.zones: {error}", "write a network like 10.0.1.0/24") from error
    return blocks


def timezone_of(value: Any, source: str) -> tzinfo:
    """UTC where nothing is said, which needs no database of time zones."""
    name = "UTC" if value is None else str(value)
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Refused(
            f"{source}: cluster.timezone = {name!r} is not known here", "write it like Europe/Berlin"
        ) from error


def placed(row: Mapping[str, Any], zone: tzinfo) -> Mapping[str, Any]:
    """A mute or maintenance whose `from` and `until` have an offset; one without is in `zone`."""
    return {**row, **{key: _placed(row[key], zone) for key in ("from", "until") if key in row}}


def _placed(value: Any, zone: tzinfo) -> Any:
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return value
    return time if time.tzinfo else time.replace(tzinfo=zone)
