"""What stands between a broker and its clients: doors, rights and quotas, put together."""

from __future__ import annotations

import os
from dataclasses import dataclass

from broker.clock import Clock
from broker.flags import Config
from broker.metadata import Metadata
from broker.quotas.quotas import Quotas
from broker.security.authorizer import Authorizer
from broker.security.doors import Doors
from broker.security.opening import open_doors


@dataclass(frozen=True, kw_only=True)
class Guards:
    doors: Doors
    authorizer: Authorizer
    quotas: Quotas


async def open_guards(config: Config, metadata: Metadata, secret: bytes, clock: Clock) -> Guards:
    """InvalidConfig where the file of first users cannot be read."""
    doors = await open_doors(
        config.doors, metadata, users=config.first_users, secret=secret, entropy=os.urandom, clock=clock
    )
    return Guards(
        doors=doors,
        authorizer=Authorizer(config.authorizer, lambda: metadata.image.acls),
        quotas=Quotas(
            lambda: metadata.image.quotas,
            clock,
            max_connections=int(config.configs.get("max.connections", 2**31 - 1)),
            max_per_address=int(config.configs.get("max.connections.per.ip", 2**31 - 1)),
        ),
    )
