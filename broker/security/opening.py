"""Opens a broker's doors at its start: the first users go in, and what guards the listeners is made."""

from __future__ import annotations

import asyncio
from pathlib import Path

from broker.clock import Clock
from broker.errors import InvalidConfig
from broker.metadata import Metadata
from broker.security import first_users
from broker.security.doors import Doors, DoorSettings
from broker.security.scram import Entropy


async def open_doors(
    settings: DoorSettings, metadata: Metadata, *, users: Path | None, secret: bytes, entropy: Entropy, clock: Clock
) -> Doors:
    """InvalidConfig that names the file of first users when it cannot be read."""
    if users is not None:
        try:
            found = first_users.parse(await asyncio.to_thread(users.read_text))
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidConfig(f"--scram-credentials {users}: {type(error).__name__}; give a file to read") from None
        except InvalidConfig as error:
            raise InvalidConfig(f"--scram-credentials {users}, {error.message}") from None
        await metadata.change(lambda tx: first_users.add(tx, found, entropy))
    return Doors(settings, credentials=lambda: metadata.image.scram, secret=secret, entropy=entropy, clock=clock)
