"""SaslAuthenticate (36), versions 0 to 2: the messages of the mechanism that SaslHandshake chose.

It needs no right, since it comes before anybody is known. A failure has the same words whatever was wrong, comes after
`connection.failed.authentication.delay.ms`, and ends the connection. Where sessions end (`connections.max.reauth.ms`,
or a token's own end) the answer says when, and clients that know KIP-368 renew theirs.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import IllegalSaslState, KafkaError
from broker.security.login import Login, Said
from broker.wire.encoder import Fields

KEY = 36


@register(key=KEY, name="SaslAuthenticate", versions=(0, 2), needs=())
async def sasl_authenticate(context: Context, request: Any, version: int) -> Fields:
    """The mechanism's answer; from then on the connection has a principal."""
    login = context.connection.login
    try:
        if login is None:
            raise IllegalSaslState("this listener does not ask who comes")
        said = await _say(context, login, bytes(request.auth_bytes))
    except KafkaError as error:
        return {"error_code": error.code, "error_message": error.message, "auth_bytes": b""}
    return {"auth_bytes": said.answer, "session_lifetime": said.lifetime_ms}


async def answer_bare(context: Context, message: bytes) -> bytes | None:
    """The mechanism's answer to a message without a header (SaslHandshake version 0); None when the login has failed,
    for there is no way to say so.
    """
    login = context.connection.login
    assert login is not None
    try:
        return (await _say(context, login, message)).answer
    except KafkaError:
        login.failed = True
        return None


async def _say(context: Context, login: Login, message: bytes) -> Said:
    listener = context.connection.listener
    try:
        said = await login.say(message)
    except KafkaError:
        if login.failed:
            context.meter.authenticated(listener, login.by, False)
        raise
    if said.name is not None:
        context.meter.authenticated(listener, login.by, True)
        context.connection.principal = f"User:{said.name}"
    return said
