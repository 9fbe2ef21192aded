"""Mutes and maintenances cover what they name, for as long as they say."""

from datetime import UTC, datetime

from agent.diagnose import quiet

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


def mute(**document):
    return quiet.read([document], is_maintenance=False)


def covers(found, rule="BAL-01", resource="demo/topic/orders/3"):
    return any(one.covers(rule, resource, NOW) for one in found)


def test_an_id_covers_itself_and_what_is_inside_it():
    assert covers(mute(resource="demo/topic/orders/3"))
    assert covers(mute(resource="demo/topic/orders"))
    assert not covers(mute(resource="demo/topic/order"))
    assert covers(mute(resource="demo/topic/*"))


def test_a_rule_may_be_a_family():
    assert covers(mute(rule="BAL-*"))
    assert not covers(mute(rule="LAG-02", resource="demo/topic/orders"))


def test_it_begins_and_ends():
    assert covers(mute(**{"from": "2026-03-04T11:00:00Z", "until": "2026-03-04T13:00:00Z"}))
    assert not covers(mute(**{"from": "2026-03-04T12:30:00Z"}))
    assert not covers(mute(until=datetime(2026, 3, 4, 11)))


def test_one_whose_times_cannot_be_read_hides_nothing():
    assert mute(until="next week") == []
