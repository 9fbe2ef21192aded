"""Where the obvious action is wrong or is not ours: why nothing is executed, and what a person can set instead."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.model.finding import Risk
from agent.model.plan import Refusal
from agent.model.resource import parts
from agent.plan.build import refused

ZONE_IN_ID = re.compile(r"(?:^|[,;&])\s*(?:zone|automq_az|ws_az)\s*=\s*[^,;&\s]")
"""A client id that names its zone already, as the brokers read it."""


@dataclass(frozen=True, kw_only=True)
class Advice:
    reason: str
    """`{name}` is the last part of the resource."""
    text: str
    """`{in_id}` is how to say the zone in a client id that does not say one yet."""


ADVICE = {
    "BAL-03": Advice(
        reason="a few keys make {name} hot: moving it only shifts the heat to another broker",
        text="In the producer: send records that need no order without a key (the sticky partitioner spreads them),\n"
        'or salt the hot keys: key = f"{{key}}#{{n % 8}}", and merge the eight in the consumer.\n'
        "More partitions (kafka-topics.sh --alter --partitions N) do not split one key, break the order of all keys,\n"
        "cannot be undone, and need the owner's consent. Never re-key a compacted topic.",
    ),
    "AVL-04": Advice(
        reason="several brokers are gone at once: that is the infrastructure, and moving their load onto the survivors "
        "would take those down too",
        text="Do not rebalance. Find what the lost brokers share (zone, network, node pool, object store, a deploy),\n"
        "bring that back, and look again.",
    ),
    "CLI-01": Advice(
        reason="{name} sends tiny batches: scaling out only spreads the requests",
        text="In the producer's configuration:\nlinger.ms=20\nbatch.size=131072",
    ),
    "CLI-02": Advice(
        reason="{name} chooses its own compression: the cluster does not compress for it",
        text="In the producer's configuration:\ncompression.type=zstd\nlinger.ms=20\nbatch.size=131072\n"
        "Try it on a sample first: encrypted or media payload does not shrink.",
    ),
    "CLI-08": Advice(
        reason="how long {name} works on what one poll brings is its own code and configuration",
        text="In the consumer's configuration:\nmax.poll.records=100\n"
        "or make the work on a record shorter. A longer max.poll.interval.ms also notices a dead member later.",
    ),
    "NET-01": Advice(
        reason="where {name} runs is set in its own deployment, not in the cluster",
        text="In the consumer's configuration, with the zone it runs in:\nclient.rack=<zone>\n{in_id}"
        "Reading near also needs a broker that serves it: replica.selector.class="
        "org.apache.kafka.common.replica.RackAwareReplicaSelector on Apache Kafka.",
    ),
    "LAG-02": Advice(
        reason="nobody is consuming for {name}: no action on the cluster starts an application",
        text="Start the consumers of group {name}, or, if it is retired, delete the group once its owner agrees:\n"
        "kafka-consumer-groups.sh --bootstrap-server $BOOTSTRAP --describe --group {name}",
    ),
    "AVL-02": Advice(
        reason="no live broker holds these partitions in full: only one that does brings them back",
        text="Start the brokers that the finding names, and look again. Until then do not allow an unclean election:\n"
        "what only the missing replica has would be lost without a word.\n"
        "kafka-topics.sh --bootstrap-server $BOOTSTRAP --describe --unavailable-partitions",
    ),
    "AVL-06": Advice(
        reason="broker {name} has to give its partitions away before its machine is gone, which its admin API does",
        text="Start another broker where there is none that could take them. Then ask any broker's HTTP address:\n"
        'curl -X POST $BROKER_HTTP/admin/v1/drain -d \'{{"broker": {name}, "wait": true}}\'\n'
        "On Apache Kafka: kafka-reassign-partitions.sh --bootstrap-server $BOOTSTRAP, to the replicas that stay, and "
        "stop the broker with SIGTERM.",
    ),
    "DUR-01": Advice(
        reason="how many copies {name} is worth is its owner's decision, and more of them copy all of its data",
        text="With its owner: three replicas, and min.insync.replicas=2.\n"
        "kafka-reassign-partitions.sh --bootstrap-server $BOOTSTRAP --reassignment-json-file FILE --execute "
        "--throttle 50000000\n"
        "kafka-reassign-partitions.sh ... --verify, when it is done: it takes the throttle away.",
    ),
    "DUR-02": Advice(
        reason="the replicas that are missing are on brokers: no setting makes them complete",
        text="Bring back the brokers that the finding names, or give their partitions a replica elsewhere.\n"
        "kafka-topics.sh --bootstrap-server $BOOTSTRAP --describe --under-min-isr-partitions\n"
        "A lower min.insync.replicas takes writes again and keeps them on fewer disks: ask each topic's owner first.",
    ),
    "DUR-10": Advice(
        reason="a follower that stays behind is slowed by its own broker, or by a throttle: find which first",
        text="kafka-topics.sh --bootstrap-server $BOOTSTRAP --describe --under-replicated-partitions\n"
        "One broker in all of them: its disk, network and log. A throttle left behind: "
        "kafka-reassign-partitions.sh --verify.",
    ),
    "LAG-09": Advice(
        reason="what was deleted before {name} read it is not in the cluster any more",
        text="Before the consumers of {name} start again: auto.offset.reset=earliest, or they skip the rest too.\n"
        "kafka-consumer-groups.sh --bootstrap-server $BOOTSTRAP --describe --group {name}",
    ),
    "OBJ-04": Advice(
        reason="how often a broker uploads is set when it starts, not through the admin API",
        text="Start the brokers with a longer interval, so that fewer and larger objects are written:\n"
        "--upload-interval 120\nThe WAL must hold that much traffic.",
    ),
}


def advise(risk: Risk) -> Refusal:
    """The refusal for a risk whose fix is not an action on the cluster."""
    _, kind, *names = parts(risk.resource)
    name = "-".join(names) if kind == "topic" else names[-1]
    known = ADVICE.get(risk.rule)
    if known is None:
        reason = f"{risk.action or 'nothing'} is not an action that this agent plans: read the rule's page"
        return refused(risk, reason)
    alternative = f"or, where the rack cannot be set, in its client id:\nclient.id={name},zone=<zone>\n"
    in_id = "" if ZONE_IN_ID.search(name) else alternative
    return refused(risk, known.reason.format(name=name), _text(risk, known.text.format(name=name, in_id=in_id)))


def _text(risk: Risk, text: str) -> str:
    """The advice, with the settings that the page itself worked out from the numbers (`action_settings`) first."""
    settings = risk.latest.params.get("settings")
    return f"For this one: {settings}\n{text}" if isinstance(settings, str) else text
