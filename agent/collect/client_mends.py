"""What kafka-python's client leaves to be wished when it comes to saying why a cluster does not let one in.

Its parts are private, and its version is pinned in the lock file; `tests/agent/collect/test_refused.py` fails when they
have changed.
"""

from __future__ import annotations

import sys
from typing import Any

from kafka import errors as kafka_errors

UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
"""OpenSSL's word for a certificate that nobody vouches for, that is out of date, or of another name."""


def mend(manager: Any) -> None:
    """Mends a connection manager that has not been used yet."""
    _give_up_at_once(manager)
    _hear_last_words(manager)


def _give_up_at_once(manager: Any) -> None:
    """Lets a refused login or certificate end the bootstrap with its reason.

    The client would try again until its time is up, and then say that it could not bootstrap, and no more. It asks for
    its next pause inside the `except` of the failure, which is where that is still known.
    """
    pause = manager.update_backoff

    def asked(node: Any) -> Any:
        error = sys.exception()
        if isinstance(error, kafka_errors.SaslAuthenticationFailedError) or UNTRUSTED in str(error):
            raise error or RuntimeError(UNTRUSTED)
        return pause(node)

    manager.update_backoff = asked


def _hear_last_words(manager: Any) -> None:
    """Lets an answer be read that comes together with the end of its connection, as that to a wrong password may.

    The client throws away what it read in the pass in which it meets the end. The end is met again in the next one.
    """
    build = manager._build_transport

    async def built(*arguments: Any, **named: Any) -> Any:
        transport = await build(*arguments, **named)
        receive = transport._sock_recv

        def received() -> tuple[bytes, Exception | None]:
            data, error = receive()
            return data, None if data else error

        transport._sock_recv = received
        return transport

    manager._build_transport = built
