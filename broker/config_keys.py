"""What a config is: its name and type, its bounds, and what it does here. Which there are is in configs.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from broker.errors import InvalidConfig

MAX_INT, MAX_LONG = 2**31 - 1, 2**63 - 1


class Kind(IntEnum):
    """The type of a value, with DescribeConfigs' numbers."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    LONG = 5
    DOUBLE = 6
    LIST = 7


@dataclass(frozen=True, kw_only=True)
class ConfigKey:
    """One config: its type, its bounds, and what it does here."""

    name: str
    kind: Kind
    default: str
    doc: str
    low: float = -MAX_LONG
    high: float = MAX_LONG
    values: tuple[str, ...] = ()
    """What a string, or each item of a list, may be; empty: anything."""
    synonym: str | None = None
    """A topic config's name at the broker, where it has one."""
    read_only: bool = False
    """Set at the broker's start only."""

    def checked(self, value: str) -> str:
        """The value, stripped. InvalidConfig that names the key and what it takes."""
        text = value.strip()
        fault = _CHECKS[self.kind](self, text)
        if fault:
            raise InvalidConfig(f"Invalid value {value[:64]} for configuration {self.name}: {fault}")
        return text


def _number_fault(key: ConfigKey, text: str) -> str | None:
    try:
        number = float(text) if key.kind is Kind.DOUBLE else int(text)
    except ValueError:
        return "Not a number of type " + key.kind.name
    return None if key.low <= number <= key.high else f"Value must be between {key.low} and {key.high}"


def _boolean_fault(_key: ConfigKey, text: str) -> str | None:
    return None if text.lower() in ("true", "false") else "Expected value to be either true or false"


def _string_fault(key: ConfigKey, text: str) -> str | None:
    return None if not key.values or text in key.values else f"String must be one of: {', '.join(key.values)}"


def _list_fault(key: ConfigKey, text: str) -> str | None:
    items = [item.strip() for item in text.split(",")] if text else []
    bad = [item for item in items if key.values and item not in key.values]
    return f"each must be one of: {', '.join(key.values)}" if bad else None


_CHECKS: Mapping[Kind, Callable[[ConfigKey, str], str | None]] = {
    Kind.BOOLEAN: _boolean_fault,
    Kind.STRING: _string_fault,
    Kind.INT: _number_fault,
    Kind.LONG: _number_fault,
    Kind.DOUBLE: _number_fault,
    Kind.LIST: _list_fault,
}


def fixed(name: str, kind: Kind, default: str, doc: str) -> ConfigKey:
    return ConfigKey(name=name, kind=kind, default=default, doc=doc, read_only=True)


def counted(name: str, kind: Kind, default: str, doc: str) -> ConfigKey:
    high = MAX_INT if kind is Kind.INT else MAX_LONG
    return ConfigKey(name=name, kind=kind, default=default, doc=doc, low=0, high=high, read_only=True)


def one_of(name: str, values: tuple[str, ...], default: str, doc: str) -> ConfigKey:
    return ConfigKey(name=name, kind=Kind.STRING, default=default, doc=doc, values=values, read_only=True)
