"""What is done with each of Apache Kafka's tools, in order: a topic is made, filled, read, managed and deleted."""

from __future__ import annotations

import json

from tests.clients.tools import Bench, Tool, wanted

_GROUPS = "consumer.group.ConsumerGroupCommand"
_SHARES = "consumer.group.ShareGroupCommand"
_REASSIGN = "reassign.ReassignPartitionsCommand"
_CONFIGS = "ConfigCommand"
_RECORDS = 3000


def _topics(run: Bench) -> list[str]:
    run("TopicCommand", "--create", "--topic", run.topic, "--partitions", "2", "--replication-factor", "3")
    run("TopicCommand", "--alter", "--topic", run.topic, "--partitions", "3")
    said = run("TopicCommand", "--describe", "--topic", run.topic)
    faults = wanted(said, "PartitionCount: 3", "ReplicationFactor: 3", "Partition: 2 Leader:")
    return faults + wanted(run("TopicCommand", "--list"), run.topic)


def _console(run: Bench) -> list[str]:
    keys = ("--property", "parse.key=true", "--property", "key.separator=:")
    run("ConsoleProducer", "--topic", run.topic, *keys, given="one:1\ntwo:2\nthree:3\n")
    said = run("consumer.ConsoleConsumer", "--topic", run.topic, "--from-beginning", "--group", "console",
               "--max-messages", "3", "--property", "print.key=true")  # fmt: skip
    return wanted(said, "one 1", "two 2", "three 3")


def _verifiable(run: Bench) -> list[str]:
    said = run("VerifiableProducer", "--topic", run.topic, "--max-messages", "300", "--acks", "-1")
    faults = [] if said.count("producer_send_success") == 300 else ["not all 300 were acknowledged"]
    count = str(3 + 300)
    read = run("VerifiableConsumer", "--topic", run.topic, "--group-id", "verifiable", "--max-messages", count,
               "--reset-policy", "earliest")  # fmt: skip
    told = [json.loads(line) for line in read.splitlines()]
    found = sum(each["count"] for each in told if each["name"] == "records_consumed")
    if found != int(count):
        faults.append(f"{found} were read of {count}")
    committed = [each for each in told if each["name"] == "offsets_committed"]
    return faults + ([] if all(each["success"] for each in committed) else [f"commits: {committed}"])


def _perf_producer(run: Bench, *more: str) -> str:
    given = ("--topic", run.topic, "--num-records", str(_RECORDS), "--record-size", "100", "--throughput", "-1")
    address = f"bootstrap.servers={run.ground.bootstrap}"
    return run("ProducerPerformance", *given, *more, "--producer-props", address, at="")


def _perf(run: Bench) -> list[str]:
    faults = wanted(_perf_producer(run), f"{_RECORDS} records sent")
    read = run("ConsumerPerformance", "--topic", run.topic, "--messages", str(_RECORDS), "--timeout", "30000")
    found = int(float(read.splitlines()[-1].split(", ")[4]))
    return faults + ([] if found >= _RECORDS else [f"{found} were read of {_RECORDS}"])


def _offsets(run: Bench) -> list[str]:
    ends = [line.rsplit(":", 1)[1] for line in run("GetOffsetShell", "--topic", run.topic).split()]
    total, right = sum(map(int, ends)), 3 + 300 + _RECORDS
    said = run("GetOffsetShell", "--topic", run.topic, "--time", "earliest")
    faults = wanted(said, *(f"{run.topic}:{number}:0" for number in range(3)))
    return faults + ([] if total == right else [f"the ends add up to {total}, not {right}"])


def _groups(run: Bench) -> list[str]:
    faults = wanted(run(_GROUPS, "--list"), "console", "verifiable")
    faults += wanted(run(_GROUPS, "--describe", "--group", "console"), f"console {run.topic} 0")
    faults += wanted(run(_GROUPS, "--describe", "--group", "console", "--state"), "Empty 0")
    run(_GROUPS, "--describe", "--group", "console", "--members", "--verbose")
    earliest = ("--reset-offsets", "--to-earliest", "--topic", run.topic, "--group", "console", "--execute")
    faults += wanted(run(_GROUPS, *earliest), *(f"console {run.topic} {number} 0" for number in range(3)))
    faults += wanted(run(_GROUPS, "--delete-offsets", "--group", "console", "--topic", run.topic), "Successful")
    faults += wanted(run(_GROUPS, "--delete", "--group", "console"), "was successful")
    return faults + wanted(run("GroupsCommand", "--list"), "verifiable Classic consumer")


def _shares(run: Bench) -> list[str]:
    entity = ("--entity-type", "groups", "--entity-name", "share")
    run(_CONFIGS, "--alter", *entity, "--add-config", "share.auto.offset.reset=earliest")
    said = run("consumer.ConsoleShareConsumer", "--topic", run.topic, "--group", "share", "--max-messages", "303",
               "--timeout-ms", "30000")  # fmt: skip
    count = len(said.split())  # whichever: the perf tool's records are in the topic too
    faults = [] if count == 303 else [f"{count} were read of 303"]
    faults += wanted(run(_SHARES, "--list", "--state"), "share Empty")
    faults += wanted(run("GroupsCommand", "--list"), "share Share")
    said = run(_SHARES, "--describe", "--group", "share")
    faults += wanted(said, *(f"share {run.topic} {number}" for number in range(3)))
    faults += wanted(run(_SHARES, "--describe", "--group", "share", "--state"), "Empty 0")
    run(_SHARES, "--describe", "--group", "share", "--members", "--verbose")
    said = run(_SHARES, "--delete-offsets", "--group", "share", "--topic", run.topic)
    faults += wanted(said, f"{run.topic} Successful")
    read = run("VerifiableShareConsumer", "--topic", run.topic, "--group-id", "share", "--max-messages", "303",
               "--acknowledgement-mode", "sync")  # fmt: skip
    told = [json.loads(line) for line in read.splitlines() if line.startswith("{")]
    found = sum(each["count"] for each in told if each["name"] == "offsets_acknowledged")
    faults += [] if found >= 303 else [f"{found} were acknowledged of 303"]
    return faults + wanted(run(_SHARES, "--delete", "--group", "share"), "successful")


def _configs(run: Bench) -> list[str]:
    faults = []
    for kind, name, config in (
        ("topics", run.topic, "retention.ms=3600000"),
        ("brokers", "0", "log.retention.ms=7200000"),
        ("users", "bob", "producer_byte_rate=1048576"),
        ("clients", "app", "consumer_byte_rate=1048576"),
        ("ips", "127.0.0.9", "connection_creation_rate=10"),
        ("groups", "console", "consumer.session.timeout.ms=50000"),
        ("users", "bob", "SCRAM-SHA-512=[iterations=4096,password=bob-secret]"),
    ):
        entity = ("--entity-type", kind, "--entity-name", name)
        run(_CONFIGS, "--alter", *entity, "--add-config", config)
        key = config.partition("=")[0]
        said = run(_CONFIGS, "--describe", *entity)
        faults += wanted(said, key) + (["the password is shown"] if "bob-secret" in said else [])
        run(_CONFIGS, "--alter", *entity, "--delete-config", key)
    return faults


def _client_metrics(run: Bench) -> list[str]:
    run("ClientMetricsCommand", "--alter", "--name", "some", "--metrics", "org.apache.kafka.producer.",
        "--interval", "10000", "--match", "client_id=app.*")  # fmt: skip
    faults = wanted(run("ClientMetricsCommand", "--list"), "some")
    faults += wanted(run("ClientMetricsCommand", "--describe", "--name", "some"), "interval.ms=10000")
    run("ClientMetricsCommand", "--delete", "--name", "some")
    return faults


def _acls(run: Bench) -> list[str]:
    one = ("--allow-principal", "User:bob", "--operation", "Read", "--topic", run.topic)
    faults = wanted(run("AclCommand", "--add", *one), "principal=User:bob, host=*, operation=READ")
    faults += wanted(run("AclCommand", "--list", "--topic", run.topic), "permissionType=ALLOW")
    said = run("AclCommand", "--remove", *one, "--force")
    return faults + (["it is still there"] if "User:bob" in said else [])


def _reassign(run: Bench) -> list[str]:
    topics = run.file("topics.json", json.dumps({"version": 1, "topics": [{"topic": run.topic}]}))
    asked = ("--generate", "--topics-to-move-json-file", topics, "--broker-list", "0,1,2")
    plan = run.file("plan.json", run(_REASSIGN, *asked).strip().splitlines()[-1])
    faults = wanted(run(_REASSIGN, "--execute", "--reassignment-json-file", plan, "--throttle", "1000000"), "started")
    said = ""
    for _ in range(30):
        said = run(_REASSIGN, "--verify", "--reassignment-json-file", plan)
        if "in progress" not in said:
            break
    faults += wanted(said, f"{run.topic}-0 is completed", "Clearing topic-level throttles")
    faults += wanted(run(_REASSIGN, "--list"), "No partition reassignments found")
    run(_REASSIGN, "--cancel", "--reassignment-json-file", plan)
    return faults


def _election(run: Bench) -> list[str]:
    run("LeaderElectionCommand", "--election-type", "PREFERRED", "--all-topic-partitions")
    return []


def _delete_records(run: Bench) -> list[str]:
    places = [{"topic": run.topic, "partition": 0, "offset": 1}]
    file = run.file("offsets.json", json.dumps({"version": 1, "partitions": places}))
    faults = wanted(run("DeleteRecordsCommand", "--offset-json-file", file), "tools-0 low_watermark: 1")
    return faults + wanted(run("GetOffsetShell", "--topic", run.topic, "--time", "earliest"), f"{run.topic}:0:1")


def _transactions(run: Bench) -> list[str]:
    _perf_producer(run, "--transactional-id", "perf", "--transaction-duration-ms", "1000")
    faults = wanted(run("TransactionsCommand", "list"), "perf")
    said = run("TransactionsCommand", "describe", "--transactional-id", "perf")
    faults += wanted(said, "TransactionalId", "perf")
    said = run("TransactionsCommand", "describe-producers", "--topic", run.topic, "--partition", "0")
    faults += wanted(said, "ProducerId ProducerEpoch")
    for where in (("--topic", run.topic), ("--broker-id", "1")):
        said = run("TransactionsCommand", "find-hanging", *where)
        faults += ["one is said to hang"] if run.topic in said else []
    return faults


def _log_dirs(run: Bench) -> list[str]:
    said = run("LogDirsCommand", "--describe", "--topic-list", run.topic)
    told = json.loads(said.splitlines()[-1])
    held = {part["partition"] for broker in told["brokers"] for one in broker["logDirs"] for part in one["partitions"]}
    return [] if len(held) == 3 else [f"partitions {sorted(held)} are told"]


def _quorum(run: Bench) -> list[str]:
    faults = wanted(run("MetadataQuorumCommand", "describe", "--status"), "ClusterId:", "LeaderId:")
    return faults + wanted(run("MetadataQuorumCommand", "describe", "--replication"), "Leader", "Follower")


def _cluster(run: Bench) -> list[str]:
    faults = wanted(run("FeatureCommand", "describe"), "Feature: transaction.version", "Feature: group.version")
    faults += wanted(run("BrokerApiVersionsCommand"), "Produce(0):", "rack: zone-2")
    faults += wanted(run("ClusterTool", "cluster-id", "--bootstrap-server", run.ground.bootstrap, at=""), "Cluster ID:")
    return faults + wanted(
        run("ClusterTool", "list-endpoints", "--bootstrap-server", run.ground.bootstrap, at=""), "zone-1 unfenced"
    )


def _delete(run: Bench) -> list[str]:
    run("TopicCommand", "--delete", "--topic", run.topic)
    return []


TRIED = [
    Tool(name="kafka-topics.sh", what="create, alter, describe, list", run=_topics),
    Tool(name="kafka-console-producer.sh and -consumer.sh", what="three records with keys, in a group", run=_console),
    Tool(
        name="kafka-verifiable-producer.sh and -consumer.sh", what="300 acknowledged, read, committed", run=_verifiable
    ),
    Tool(
        name="kafka-producer-perf-test.sh and kafka-consumer-perf-test.sh", what=f"{_RECORDS} there and back", run=_perf
    ),
    Tool(name="kafka-get-offsets.sh", what="latest, earliest", run=_offsets),
    Tool(
        name="kafka-consumer-groups.sh and kafka-groups.sh",
        what="list, describe (offsets, state, members), reset-offsets, delete-offsets, delete",
        run=_groups,
    ),
    Tool(
        name="kafka-share-groups.sh and kafka-console-share-consumer.sh and kafka-verifiable-share-consumer.sh",
        what="303 read, forgotten, read again and acknowledged; list, describe, delete-offsets, delete",
        run=_shares,
    ),
    Tool(
        name="kafka-configs.sh",
        what="alter and describe: topics, brokers, groups, SCRAM credentials, quotas of users, clients and addresses",
        run=_configs,
    ),
    Tool(name="kafka-client-metrics.sh", what="alter, list, describe, delete", run=_client_metrics),
    Tool(name="kafka-acls.sh", what="add, list, remove", run=_acls),
    Tool(
        name="kafka-reassign-partitions.sh",
        what="generate, execute with a throttle, verify, list, cancel",
        run=_reassign,
    ),
    Tool(name="kafka-leader-election.sh", what="preferred, of all partitions", run=_election),
    Tool(name="kafka-delete-records.sh", what="up to an offset", run=_delete_records),
    Tool(
        name="kafka-transactions.sh",
        what="list, describe, describe-producers, find-hanging by topic and by broker",
        run=_transactions,
    ),
    Tool(name="kafka-log-dirs.sh", what="describe", run=_log_dirs),
    Tool(name="kafka-metadata-quorum.sh", what="describe: status, replication", run=_quorum),
    Tool(
        name="kafka-features.sh and kafka-broker-api-versions.sh and kafka-cluster.sh",
        what="describe; list; ids",
        run=_cluster,
    ),
    Tool(name="kafka-topics.sh --delete", what="delete", run=_delete),
]
CANNOT = {
    "kafka-delegation-tokens.sh": "there are no delegation tokens; OAUTHBEARER has tokens with an end",
    "kafka-streams-groups.sh": "groups of Kafka Streams (KIP-1071) are not served; its applications use classic ones",
    "kafka-dump-log.sh, kafka-storage.sh": "they read a broker's own files, which are of another form",
    "burrow": "version 1.2.1 asks ListOffsets of version 0, which Apache Kafka 4.0 no longer answers either, and finds"
    " groups by reading the records of `__consumer_offsets`, where nothing is written here: groups' offsets are in the"
    " metadata store, and every admin client reads them",
}
