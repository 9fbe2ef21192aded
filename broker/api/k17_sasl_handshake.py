"""SaslHandshake (17), versions 0 and 1: picks the mechanism by which a client says who it is.

It needs no right, since it comes before anybody is known. On a listener without SASL it is ILLEGAL_SASL_STATE, as in
Kafka. After version 0 the messages of the mechanism follow as bare tokens with a length and no header, until the client
is known: kafka-python 2.0 logs in like that, and librdkafka 2.0 takes a broker without version 0 for one that
has no handshake. A session cannot be renewed that way, as in Kafka.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import IllegalSaslState, KafkaError
from broker.wire.encoder import Fields

KEY = 17


@register(key=KEY, name="SaslHandshake", versions=(0, 1), needs=())
async def sasl_handshake(context: Context, request: Any, version: int) -> Fields:
    """The mechanisms there are; a client that asked for another one is hung up on."""
    login = context.connection.login
    if login is None:
        return {"error_code": IllegalSaslState.code, "mechanisms": ()}
    try:
        login.handshake(request.mechanism, bare=version == 0)
    except KafkaError as error:
        if login.failed:
            context.meter.authenticated(context.connection.listener, login.by, False)
        return {"error_code": error.code, "mechanisms": login.mechanisms}
    return {"mechanisms": login.mechanisms}
