"""Config changes as events: what differs, and nothing for what is new, gone or the same."""

from agent.collect.changes import MOST_CONFIG_EVENTS, config_events
from agent.collect.shapes import ConfigEntry


def configs(scope: str, owner: str, **settings: str) -> dict[tuple[str, str], dict[str, ConfigEntry]]:
    return {
        (scope, owner): {
            name: ConfigEntry(value=value, source="DYNAMIC_TOPIC_CONFIG", read_only=False)
            for name, value in settings.items()
        }
    }


def test_a_setting_that_differs_is_one_event() -> None:
    (event,) = config_events("c", configs("topic", "orders", a="1", b="2"), configs("topic", "orders", a="1", b="3"))
    assert (event.kind, event.resource, event.detail) == ("config_change", "c/topic/orders", "b: 2 to 3")


def test_a_setting_that_came_or_went_says_so() -> None:
    events = config_events("c", configs("broker", "1", a="1"), configs("broker", "1", b="2"))
    assert [event.detail for event in events] == ["a: 1 to unset", "b: unset to 2"]


def test_a_topic_that_is_new_changed_nothing() -> None:
    assert config_events("c", {}, configs("topic", "orders", a="1")) == []


def test_a_quota_is_about_its_principal_or_client() -> None:
    before = configs("quota", "client-id=x,user=alice", rate="1") | configs("quota", "client-id=y", rate="1")
    after = configs("quota", "client-id=x,user=alice", rate="2") | configs("quota", "client-id=y", rate="2")
    assert [event.resource for event in config_events("c", before, after)] == ["c/principal/User:alice", "c/client/y"]


def test_many_changes_at_once_are_told_as_one() -> None:
    before, after = {}, {}
    for n in range(MOST_CONFIG_EVENTS + 5):
        before |= configs("topic", f"t{n}", a="1")
        after |= configs("topic", f"t{n}", a="2")
    events = config_events("c", before, after)
    assert len(events) == MOST_CONFIG_EVENTS + 1
    assert events[-1].detail == "5 more settings changed at once"
