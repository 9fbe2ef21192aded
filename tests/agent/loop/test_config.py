"""Configuration: file, then environment, then flags; a misspelt key is never ignored."""

import inspect
from dataclasses import replace

import pytest

from agent.loop import cluster_config, config
from agent.loop.config import load
from agent.loop.discovery_config import finder_of
from agent.loop.refused import Refused
from agent.loop.rooms import act_settings

TOML = """
[agent]
listen = "127.0.0.1:9000"
scrape_interval = "10s"
[[cluster]]
bootstrap_servers = ["a:9092", "b:9092"]
metrics = [{url = "http://a:9404/metrics", broker = "1"}]
[rules.override."BAL-01"]
skew = 1.5
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "streampilot.toml"
    path.write_text(TOML)
    return path


def test_a_throttle_under_which_no_copy_would_end_is_refused(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text('[act]\nthrottle = "8MiB"\nstall_timeout = "90s"\n')
    config = load(str(file), {}, {})
    assert (config.throttle_bytes_per_s, config.stall_timeout_s) == (8 << 20, 90.0)
    file.write_text("[act]\nthrottle = 50\n")
    with pytest.raises(Refused, match=r"act.throttle is 50 bytes a second"):
        load(str(file), {}, {})


def test_the_file_is_read(file):
    read = load(str(file), {}, {})
    assert (read.port, read.scrape_interval_s) == (9000, 10.0)
    assert read.clusters[0].bootstrap_servers == "a:9092,b:9092"
    assert read.clusters[0].metrics[0].broker == "1"
    assert read.overrides == {"BAL-01": {"skew": 1.5}}


def test_the_environment_beats_the_file_and_a_flag_beats_both(file):
    environment = {"STREAMPILOT_AGENT__LISTEN": "127.0.0.1:9001", "STREAMPILOT_AGENT__SCRAPE_INTERVAL": "3s"}
    assert load(str(file), environment, {}).port == 9001
    flagged = load(str(file), environment, {"port": 9002, "scrape_interval": "1s", "metrics": ["7=http://x:1/metrics"]})
    assert (flagged.port, flagged.scrape_interval_s) == (9002, 1.0)
    assert flagged.clusters[0].metrics[0].broker == "7"


@pytest.mark.parametrize(
    ("text", "names", "nearest"),
    [
        ("[agent]\nscrape_intervall = '5s'", "agent.scrape_intervall", "scrape_interval"),
        ("[agnt]\nlisten = 'x:1'", "[agnt]", "agent"),
        ("[[cluster]]\nbootstrap = 'a:1'", "cluster.bootstrap", "bootstrap_servers"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(tmp_path, text, names, nearest):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(Refused) as refused:
        load(str(path), {}, {})
    assert names in str(refused.value)
    assert f"the nearest known one is {nearest}" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[notify]]\nkind = 'slack'", "[[notify]] is not used by this version; remove it"),
    ],
)
def test_a_key_that_nothing_acts_on_is_refused_by_name(tmp_path, text, says):
    path = tmp_path / "early.toml"
    path.write_text(text)
    with pytest.raises(Refused) as refused:
        load(str(path), {}, {})
    assert says in str(refused.value)


def test_every_key_that_is_accepted_is_read_into_the_configuration():
    text = inspect.getsource(config) + inspect.getsource(cluster_config)
    unread = [key for table, keys in config.KEYS.items() if table not in {"mute", "maintenance"} for key in keys
              if f'get("{key}"' not in text and f'row["{key}"]' not in text]  # fmt: skip
    assert unread == []


def test_what_is_kept_is_bounded_by_hours_bytes_and_memory(tmp_path):
    path = tmp_path / "kept.toml"
    path.write_text("[agent]\nretention_raw = '8d'\nmax_disk = '1GiB'\nmemory_limit = '128MiB'")
    kept = load(str(path), {}, {})
    assert (kept.retention_raw_s, kept.max_disk_bytes, kept.memory_limit_bytes) == (8 * 86400, 1 << 30, 128 << 20)
    assert load("", {"STREAMPILOT_AGENT__LISTEN": "127.0.0.1:1"}, {}).retention_raw_s >= 7 * 86400


def test_closed_hours_go_to_a_bucket_or_nowhere(tmp_path):
    path = tmp_path / "away.toml"
    path.write_text("[agent]\nroll_off = 's3://history/agent-1'")
    assert load(str(path), {}, {}).roll_off == "s3://history/agent-1"
    path.write_text("[agent]\nroll_off = '/mnt/history'")
    with pytest.raises(Refused, match=r"agent.roll_off = '/mnt/history' is no bucket"):
        load(str(path), {}, {})


def test_an_unknown_environment_variable_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match=r"STREAMPILOT_AGENT__LISTN.*nearest known one is listen"):
        load("", {"STREAMPILOT_AGENT__LISTN": "x:1"}, {})


@pytest.mark.parametrize(
    "text",
    ["[agent", "[agent]\nscrape_interval = 'soon'", "[agent]\nlisten = '8099'", "agent = 3", "[cluster]\nname = 'x'",
     "[[cluster]]\nname = 'no servers'", "[agent]\ntime_scale = 0", "[agent]\nmode = 'yolo'",
     "[agent]\nmemory_limit = '1KiB'"],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_words(tmp_path, text):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(Refused) as refused:
        load(str(path), {}, {})
    assert "Traceback" not in str(refused.value)


@pytest.mark.parametrize(
    ("bill", "says"),
    [
        ("{kind = 'focis', url = 'b'}", "no bill is of kind 'focis'; the nearest known one is focus"),
        ("{urll = 'b'}", "unknown key cluster.bill.urll; the nearest known one is url"),
        ("{kind = 'cur'}", "cluster.bill has no url"),
        ("{url = 'b', tags = ['x']}", "cluster.bill.tags is no table"),
    ],
)
def test_a_bill_that_cannot_be_meant_is_refused_by_name(tmp_path, bill, says):
    path = tmp_path / "bill.toml"
    path.write_text(f"[[cluster]]\nbootstrap_servers = 'a:1'\nbill = {bill}\n")
    with pytest.raises(Refused) as refused:
        load(str(path), {}, {})
    assert says in str(refused.value)


def test_a_bill_is_a_path_or_says_whose_it_is(tmp_path):
    path = tmp_path / "bill.toml"
    table = "{kind = 'cost-explorer', account = '1', tags = {cluster = 'prod'}}"
    path.write_text(f"[[cluster]]\nbootstrap_servers = 'a:1'\nbill = {table}\n")
    bill = load(str(path), {}, {}).clusters[0].bill
    assert (bill.kind, bill.account, bill.tags) == ("cost-explorer", "1", {"cluster": "prod"})
    assert load(str(path), {}, {"bill": "/bills"}).clusters[0].bill.url == "/bills"


def test_rollups_are_kept_longer_than_samples_unless_it_is_said(tmp_path):
    path = tmp_path / "keep.toml"
    path.write_text("[agent]\nretention_raw = '2d'")
    assert (load(str(path), {}, {}).retention_raw_s, load(str(path), {}, {}).retention_rollup_s) == (
        2 * 86400.0,
        400 * 86400.0,
    )
    path.write_text("[agent]\nretention_rollup = '30d'")
    assert load(str(path), {}, {}).retention_rollup_s == 30 * 86400.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{ kind = 'dns' }", "discovery of kind 'dns'"),
        ("{ kind = 'file' }", "needs files"),
        ("{ kind = 'file', files = 'x.json', port = 1 }", "has no port"),
        ("{ kind = 'cluster', port = 70000 }", "no port"),
        ("{ kind = 'kubernetes', selector = 'a=b', port = 'm', broker = 'name' }", "ordinal or label"),
        ("'targets.json'", "discovery of kind 'targets.json'"),
    ],
)
def test_a_discovery_that_cannot_be_is_refused(tmp_path, text, says):
    path = tmp_path / "x.toml"
    path.write_text(f"[[cluster]]\nbootstrap_servers = 'a:1'\ndiscovery = {text}")
    with pytest.raises(Refused, match=says):
        load(str(path), {}, {})


def test_discoveries_are_one_or_several(tmp_path):
    path = tmp_path / "x.toml"
    kubernetes = "{ kind = 'kubernetes', namespace = 'kafka', selector = 'a=b', port = 'metrics' }"
    path.write_text(
        f"[[cluster]]\nbootstrap_servers = 'a:1'\ndiscovery = [{{ kind = 'cluster', port = 7071 }}, {kubernetes}]"
    )
    read = load(str(path), {}, {}).clusters[0].discovery
    environment = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert [finder_of(each, environment).name for each in read] == ["cluster port 7071", "kubernetes kafka"]
    with pytest.raises(Refused, match="no pod"):
        finder_of(read[1], {})


def test_times_without_an_offset_are_the_clusters_own(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(
        "[[cluster]]\nbootstrap_servers = 'a:1'\ntimezone = 'Europe/Berlin'\nzones = { '10.0.0.0/8' = 'a' }\n"
        "[[maintenance]]\nfrom = 2026-07-01T20:00:00\nuntil = 2026-12-01T22:00:00Z\n"
        "[[mute]]\nuntil = '2026-12-01 08:00'"
    )
    read = load(str(path), {}, {})
    (work,), (mute,) = read.maintenance, read.mutes
    assert [work["from"].isoformat(), work["until"].isoformat(), mute["until"].isoformat()] == [
        "2026-07-01T20:00:00+02:00", "2026-12-01T22:00:00+00:00", "2026-12-01T08:00:00+01:00",
    ]  # fmt: skip
    assert read.clusters[0].zones == {"10.0.0.0/8": "a"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("timezone = 'Mars/Olympus'", "Mars/Olympus"),
        ("zones = { '10.0.0.1/8' = 'a' }", "10.0.0.1/8"),
        ("zones = 'a'", "no table"),
    ],
)
def test_a_place_that_is_none_is_refused(tmp_path, text, says):
    path = tmp_path / "x.toml"
    path.write_text(f"[[cluster]]\nbootstrap_servers = 'a:1'\n{text}")
    with pytest.raises(Refused, match=says):
        load(str(path), {}, {})


WRONG = [
    ('[agent]\ninsecure = "no"', "agent.insecure = 'no' is neither true nor false"),
    ("[act]\nsecond_person = 0", "act.second_person = 0 is neither true nor false"),
    (
        '[act]\nallow = ["MovePartition"]',
        "'MovePartition' is no action that can be taken; the nearest is MovePartitions",
    ),
    ('[act]\nallow = "AlterTopic"', "act.allow = 'AlterTopic' is no list of texts"),
    ('[rules]\ndisabled = "TOP-01"', "rules.disabled = 'TOP-01' is no list of texts"),
    ('[[mute]]\nrule = "CLI-02"\nuntil = "tomorrow"', "until = 'tomorrow' is no time"),
    ("[[maintenance]]\nfrom = 2026-12-02T00:00:00Z\nuntil = 2026-12-01T00:00:00Z", "is not after from"),
    ('[[cluster]]\nbootstrap_servers = "a:1"\nmetrics = ["http://a:1/metrics"]', "'http://a:1/metrics' is no target"),
    ('[[cluster]]\nbootstrap_servers = "a:1"\nmetrics = [{url = "ftp://a:1"}]', "'ftp://a:1' is no target"),
]


@pytest.mark.parametrize(("text", "says"), WRONG, ids=[says for _, says in WRONG])
def test_a_value_that_would_pass_for_something_else_is_refused(tmp_path, text, says):
    path = tmp_path / "streampilot.toml"
    path.write_text(text)
    with pytest.raises(Refused) as refused:
        load(str(path), {}, {})
    assert says in str(refused.value)


def test_the_environment_says_false_in_any_case(tmp_path):
    assert load("", {"STREAMPILOT_AGENT__INSECURE": "False"}, {"dir": str(tmp_path)}).insecure is False


@pytest.mark.parametrize("value", [0, -3, 1.5, True, "9"])
def test_a_cap_that_bounds_nothing_is_refused(tmp_path, value):
    read = replace(load("", {}, {"dir": str(tmp_path)}), caps={"max_moves": value})
    with pytest.raises(Refused, match="no whole number from 1 on"):
        act_settings(read)


SEVERAL = """
[[cluster]]
name = "east"
bootstrap_servers = "a:9092"
timezone = "Europe/Berlin"
[[cluster]]
name = "west"
bootstrap_servers = "b:9092"
"""


def test_flags_are_about_the_cluster_that_they_name_else_the_first(tmp_path):
    path = tmp_path / "several.toml"
    path.write_text(SEVERAL)
    for named, expected in (({"cluster": "west"}, ["a:9092", "c:1"]), ({}, ["c:1", "b:9092"])):
        read = load(str(path), {}, {"bootstrap_servers": "c:1", **named})
        assert [cluster.bootstrap_servers for cluster in read.clusters] == expected
        assert [cluster.name for cluster in read.clusters] == ["east", "west"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "west"', "", "has no name"),
        ('name = "west"', 'name = "east"', "two clusters are named 'east'"),
        ('name = "west"', 'name = "a/b"', "is no name"),
    ],
)
def test_each_of_several_clusters_has_a_name_of_its_own(tmp_path, old, new, words):
    path = tmp_path / "several.toml"
    path.write_text(SEVERAL.replace(old, new))
    with pytest.raises(Refused, match=words):
        load(str(path), {}, {})


def test_a_time_without_an_offset_is_that_of_the_cluster_that_its_resource_names(tmp_path):
    path = tmp_path / "several.toml"
    mute = "[[mute]]\nrule = 'BAL-01'\nuntil = 2027-01-01T12:00:00\n"
    path.write_text(f"{SEVERAL}{mute}resource = 'east/broker/1'\n")
    assert load(str(path), {}, {}).mutes[0]["until"].isoformat() == "2027-01-01T12:00:00+01:00"
    path.write_text(f"{SEVERAL}{mute}")
    with pytest.raises(Refused, match="Europe/Berlin, UTC"):
        load(str(path), {}, {})
