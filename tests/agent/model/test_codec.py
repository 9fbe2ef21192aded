"""Shapes survive the trip through JSON, and what no shape has is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from agent.model.clock import HandClock
from agent.model.codec import from_json, timestamp, to_json
from agent.model.finding import Risk
from agent.model.plan import Refusal
from agent.model.resource import parts, resource_id
from tests.agent.plan.clusters import risk


def test_a_risk_survives_the_trip():
    before = risk("BAL-01", "c/broker/0", broker="0", shares=[1, 2], ratio=1.5, sure=True)
    assert from_json(Risk, json.loads(json.dumps(to_json(before)))) == before


def test_a_list_of_shapes_becomes_a_list():
    refusal = Refusal(risk="r", rule="BAL-03", resource="c/topic/t", reason="no", advice="")
    assert to_json([refusal, refusal])[1]["rule"] == "BAL-03"


def test_an_unknown_key_is_refused_by_name():
    data = to_json(Refusal(risk="r", rule="BAL-03", resource="c/topic/t", reason="no", advice=""))
    with pytest.raises(ValueError, match="surprise"):
        from_json(Refusal, {**data, "surprise": 1})


def test_a_missing_key_is_refused_by_name():
    with pytest.raises(ValueError, match="reason"):
        from_json(Refusal, {"risk": "r", "rule": "BAL-03", "resource": "x", "advice": ""})


def test_times_are_written_in_utc():
    assert timestamp(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == "2026-01-01T00:00:00.000Z"


def test_any_name_fits_in_a_resource_and_comes_back():
    assert parts(resource_id("c", "group", "a/b%\n")) == ("c", "group", "a/b%\n")


def test_sleeping_by_hand_takes_no_time():
    clock = HandClock(datetime(2026, 1, 1, tzinfo=UTC))
    clock.sleep(3600)
    assert clock.monotonic() == 3600
