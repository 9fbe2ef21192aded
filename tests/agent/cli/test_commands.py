"""The command lines of the children."""

from pathlib import Path

from agent.cli.commands import UpOptions, agent_command, broker_command, wal_of


def _options(**changes):
    defaults = dict(  # noqa: C408
        brokers=3, directory=Path("/d"), port=9092, http_port=0, agent_port=8099, objects="", wal="", metadata="",
        zones=("a", "b"), zone_cidrs="", cluster="local", restart=False, time_scale=1.0, scrape_interval="5s",
        broker_config=(), upload_interval=0.0, spot_notices="", config="", security="PLAINTEXT",
        scram_credentials="", command_config="", exit_with_parent=False,
    )  # fmt: skip
    return UpOptions(**{**defaults, **changes})


def _flag(command, name):
    return command[command.index(name) + 1]


def test_zones_go_round():
    zones = [_flag(broker_command(_options(), n, 0, 0), "--zone") for n in range(3)]
    assert zones == ["a", "b", "a"]


def test_a_file_wal_is_split_by_broker_and_a_bucket_is_not():
    assert wal_of("file:///w?fence=verify", 2) == "file:///w/2?fence=verify"
    assert wal_of("s3://bucket/wal", 2) == "s3://bucket/wal"


def test_an_object_wal_and_the_metadata_go_to_every_broker_as_they_are():
    options = _options(objects="s3://bucket/c", wal="objects://", metadata="postgresql://user@db/streams")
    for number in range(3):
        command = broker_command(options, number, 9092, 8080)
        assert _flag(command, "--objects") == "s3://bucket/c"
        assert _flag(command, "--wal") == "objects://"
        assert _flag(command, "--metadata") == "postgresql://user@db/streams"


def test_who_tells_of_a_machine_s_end_is_asked_by_every_broker():
    options = _options(spot_notices="http://drains/{id}")
    assert [_flag(broker_command(options, n, 0, 0), "--spot-notices") for n in (0, 1)] == ["http://drains/{id}"] * 2


def test_what_was_not_asked_for_is_left_to_the_broker():
    assert {"--objects", "--wal", "--metadata", "--spot-notices"}.isdisjoint(broker_command(_options(), 0, 9092, 8080))


def test_the_command_that_starts_a_broker_again_does_not_hang_on_its_parent():
    assert "--exit-with-parent" not in broker_command(_options(), 0, 9092, 8080)


def test_the_agent_gets_public_flags_and_every_broker():
    command = agent_command(_options(), ["h:1", "h:2"], ["http://h:3/metrics", "http://h:4/metrics"], 0)
    assert _flag(command, "--bootstrap-servers") == "h:1,h:2"
    assert command.count("--metrics") == 2
    assert _flag(command, "--token-file") == "/d/token"


def test_what_guards_the_listeners_goes_to_every_broker_and_the_way_in_to_the_agent():
    options = _options(security="SASL_SSL", scram_credentials="/users", command_config="/client.properties")
    command = broker_command(options, 1, 9093, 0)
    assert _flag(command, "--listeners") == "SASL_SSL://127.0.0.1:9093"
    assert _flag(command, "--scram-credentials") == "/users"
    assert _flag(agent_command(options, ["h:1"], [], 0), "--command-config") == "/client.properties"
