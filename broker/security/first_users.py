"""The first SCRAM credentials, from a file: without one, nobody could come in to make the others.

    SCRAM-SHA-512=[name=admin,password=secret]
    SCRAM-SHA-256=[name=admin,iterations=8192,password=secret]

One a line, as kafka-storage.sh takes them; `#` begins a comment. A user that has a credential of that mechanism keeps
it: the file is read at every start, and may be deleted after the first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from broker.errors import InvalidConfig
from broker.metadata.database import Tx
from broker.metadata.scram import User, alter_scram
from broker.security.login import SCRAM
from broker.security.scram import LEAST_ITERATIONS, MOST_ITERATIONS, Entropy, Mechanism, of_password

_LINE = re.compile(r"(?P<mechanism>SCRAM-SHA-(?:256|512))=\[(?P<inside>.*)\]")
_PASSWORD = re.compile(r"(?P<others>.*?),?password=(?P<password>.+)")


@dataclass(frozen=True, kw_only=True)
class FirstUser:
    name: str
    mechanism: Mechanism
    password: str = field(repr=False)
    iterations: int = LEAST_ITERATIONS


def parse(text: str) -> list[FirstUser]:
    """The users of a file. InvalidConfig with the number of the line, and never what stands in it."""
    users = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                users.append(_user(line.strip()))
            except ValueError:
                raise InvalidConfig(
                    f"line {number}: write SCRAM-SHA-512=[name=NAME,password=PASSWORD], with iterations="
                    f"{LEAST_ITERATIONS} to {MOST_ITERATIONS} before the password if you like"
                ) from None
    return users


def _user(line: str) -> FirstUser:
    match = _LINE.fullmatch(line)
    inside = _PASSWORD.fullmatch(match["inside"]) if match else None
    if match is None or inside is None:
        raise ValueError
    others = dict(pair.split("=", 1) for pair in inside["others"].split(",") if pair)
    iterations = int(others.get("iterations", str(LEAST_ITERATIONS)))
    if set(others) - {"name", "iterations"} or not others.get("name"):
        raise ValueError
    if not LEAST_ITERATIONS <= iterations <= MOST_ITERATIONS:
        raise ValueError
    return FirstUser(
        name=others["name"],
        mechanism=SCRAM[match["mechanism"]],
        password=inside["password"],
        iterations=iterations,
    )


def add(tx: Tx, users: list[FirstUser], entropy: Entropy) -> None:
    """Adds those that are not there. It hashes: in the metadata's thread that hurts nobody at a start."""
    there: set[User] = set(tx.all("SELECT name, mechanism FROM scram"))
    put = {
        (user.name, int(user.mechanism)): of_password(user.mechanism, user.password, entropy, user.iterations)
        for user in users
        if (user.name, int(user.mechanism)) not in there
    }
    if put:
        alter_scram(tx, put, (), replace=False)
