"""UpdateFeatures (57), versions 0 to 2: asks for the level of a feature.

Deviation: levels come with the release. Asking for the level that holds is granted; any other is refused, with the
reason: INVALID_UPDATE_VERSION where the level does not exist, FEATURE_UPDATE_FAILED where it is only not to be had.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import NONE, FeatureUpdateFailed, InvalidRequest, InvalidUpdateVersion, KafkaError
from broker.features import FEATURES
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType
from broker.wire.encoder import Fields


@register(
    key=57,
    name="UpdateFeatures",
    versions=(0, 2),
    needs=(Need(operation=Operation.ALTER, resource=ResourceType.CLUSTER),),
)
async def update_features(context: Context, request: Any, version: int) -> Fields:
    """All of them or none; versions 0 and 1 also say it feature by feature."""
    names = [update.feature for update in request.feature_updates]
    try:
        context.access.check(Operation.ALTER, ResourceType.CLUSTER, CLUSTER_NAME)
        if not names or len(set(names)) != len(names):
            raise InvalidRequest("name at least one feature, and each once")
        for update in request.feature_updates:
            _check(update.feature, update.max_version_level)
    except KafkaError as error:
        results = [{"feature": name, "error_code": error.code, "error_message": error.message} for name in names]
        return {"error_code": error.code, "error_message": error.message, "results": results}
    return {"error_code": NONE, "results": [{"feature": name, "error_code": NONE} for name in names]}


def _check(name: str, level: int) -> None:
    known = FEATURES.get(name)
    if known is None:
        raise InvalidUpdateVersion(f"there is no feature {name[:64]} here; there is {', '.join(FEATURES)}")
    if not known.low <= level <= known.high:
        raise InvalidUpdateVersion(f"{name} has levels {known.low} to {known.high}, not {level}")
    if level != known.level:
        raise FeatureUpdateFailed(f"{name} is at level {known.level}, which comes with the release")
