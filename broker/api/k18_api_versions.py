"""ApiVersions (18), versions 0 to 4: what this broker speaks, derived from what is registered.

Features are told from version 3 on; they come with the release (broker/features.py).
Deviation: none. A version we do not know is answered in version 0 with UNSUPPORTED_VERSION and the list (KIP-511); the
server does that, through `for_unknown_version`. It needs no right: a client has to know how to speak before it can say
who it is, and learns nothing but the version of this software.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import all_apis, register
from broker.errors import UnsupportedVersion
from broker.features import FEATURES
from broker.wire.encoder import Fields

KEY = 18


@register(key=KEY, name="ApiVersions", versions=(0, 4), needs=())
async def api_versions(context: Context, request: Any, version: int) -> Fields:
    """The list; from version 3 on the client says which software it is."""
    if version >= 3:
        context.connection.software_name = request.client_software_name[:64] or "unknown"
        context.connection.software_version = request.client_software_version[:64] or "unknown"
    return {"api_keys": spoken(), **features(version)}


def for_unknown_version() -> Fields:
    """The answer, in version 0, to a version newer than ours: the client asks again with one we have."""
    return {"error_code": UnsupportedVersion.code, "api_keys": spoken()}


def spoken() -> list[Fields]:
    """Every key with its lowest and highest version."""
    return [{"api_key": api.key, "min_version": api.advertised_low, "max_version": api.high} for api in all_apis()]


def features(version: int) -> Fields:
    """What there is, and at which level. Clients of version 3 cannot read a lowest level of 0 (KAFKA-17011)."""
    shown = {name: each for name, each in FEATURES.items() if each.low > 0 or version >= 4}
    supported = [{"name": name, "min_version": each.low, "max_version": each.high} for name, each in shown.items()]
    finalized = [
        {"name": name, "max_version_level": each.level, "min_version_level": each.level}
        for name, each in FEATURES.items()
        if each.level > 0
    ]
    return {"supported_features": supported, "finalized_features_epoch": 0, "finalized_features": finalized}
