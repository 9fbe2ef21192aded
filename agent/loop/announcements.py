"""What a person or a script announces: deploys, maintenance, scaling, spot notices, notes.

Each becomes an event. A maintenance, a deploy and a scaling also keep the peace on their resource until they end and
ten minutes after, as a `[[maintenance]]` in the configuration does; a spot notice does not, because it wants action.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from agent.collect.changes import Event
from agent.loop.refused import Refused
from agent.loop.rooms import Rooms
from agent.model.codec import timestamp

KINDS = ("deploy", "maintenance", "scale", "spot_notice", "note")
QUIETING = frozenset({"deploy", "maintenance", "scale"})
LONGEST = timedelta(days=7)
"""A longer silence belongs into the configuration, where it is reviewed."""


@dataclass(frozen=True, kw_only=True)
class Announcement:
    kind: str
    resource: str
    """A resource id, or what follows the cluster in one; empty: the whole cluster."""
    detail: str
    owner: str
    by: str
    """The token's name and the owner, for the audit: one token may do more than the other."""
    until: datetime | None
    """None: a deploy or a scaling is over at once, and its aftermath begins."""


def announce(rooms: Rooms, said: Announcement, at: datetime) -> dict[str, Any]:
    """Keeps the event for the next round, and the silence where the kind brings one."""
    if said.kind not in KINDS:
        raise Refused(f"no announcement of the kind {said.kind!r}", f"the kinds are {', '.join(KINDS)}")
    if said.kind == "maintenance" and said.until is None:
        raise Refused("a maintenance without an end", "say until when")
    if said.until is not None and not at <= said.until <= at + LONGEST:
        raise Refused(f"until {timestamp(said.until)} is past, or over 7 days away", "choose a time in between")
    resource = within(rooms.cluster, said.resource)
    detail = f"{said.detail} ({said.owner})" if said.detail else said.owner
    rooms.collector.announce(Event(resource=resource, kind=said.kind, source="announced", detail=detail))
    until = said.until or at
    if said.kind in QUIETING:
        document = {
            "resource": resource,
            "rule": "",
            "owner": said.owner,
            "reason": f"{said.kind}: {said.detail}",
            "from": timestamp(at),
            "until": timestamp(until),
        }
        rooms.state.put("maintenances", f"{said.kind}-{timestamp(at)}-{resource}", document)
    told = {"kind": said.kind, "resource": resource, "detail": said.detail, "owner": said.owner}
    rooms.state.append_audit({"at": timestamp(at), "what": "announced", "by": said.by, **told})
    return {**told, "at": timestamp(at), "quiet_until": timestamp(until) if said.kind in QUIETING else None}


def within(cluster: str, given: str) -> str:
    """A resource id, from one or from what follows the cluster in one."""
    if not given or given == cluster:
        return cluster
    return given if given.startswith(f"{cluster}/") else f"{cluster}/{given}"
