"""The broker of the API tests."""

from tests.broker.api.conftest import broker, wire

__all__ = ["broker", "wire"]
