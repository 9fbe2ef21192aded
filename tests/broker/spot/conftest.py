"""A server that speaks as the clouds' metadata services do."""

from collections.abc import Iterator

import pytest

from tests.broker.spot.clouds import Clouds


@pytest.fixture
def clouds() -> Iterator[Clouds]:
    served = Clouds()
    yield served
    served.stop()
