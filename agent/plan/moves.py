"""MovePartitions: off the busiest broker (BAL-01), onto an idle one (BAL-06), away from a dead one (AVL-03).

Laws:
1. Only live brokers that are not cordoned receive. A pinned partition stays, unless it is offline: it has nowhere to
   stay. Internal topics move only when they are offline.
2. The load a broker has beyond what its partitions explain stays where it is.
3. No placement gets a broker below its largest single partition. A plan that leaves a broker above the limit times
   that (BAL-01's own measure) is refused with the best that is possible and why, except where only the cap on moves is
   in the way; one that leaves the busiest above the limit for that reason says so.
4. On classic Apache Kafka a new replica is a copy over the network, and a dead broker's only copy cannot be moved.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from agent.model.amounts import size
from agent.model.finding import Cell, Risk
from agent.model.plan import Plan, Refusal, Step
from agent.model.resource import parts, resource_id
from agent.plan import commands, copies
from agent.plan.build import outlook, proposed, refused
from agent.plan.settings import PlanSettings
from agent.plan.solve import Item, Problem, Solution, loads, mean_load, solve
from agent.plan.state import ClusterState, PartitionId, PartitionState, Prices

MASS_LOSS_BROKERS, MASS_LOSS_SHARE = 2, 0.3
"""AVL-04's own numbers: from here on the cause is shared, and moving load onto the survivors makes it worse."""


def mass_loss(state: ClusterState) -> str | None:
    """Why nothing may be moved now, or None."""
    dead = [broker.id for broker in state.brokers if not broker.up]
    if len(dead) < MASS_LOSS_BROKERS or len(dead) < MASS_LOSS_SHARE * len(state.brokers):
        return None
    names = ", ".join(map(str, dead))
    return f"{len(dead)} of {len(state.brokers)} brokers are gone ({names}): the survivors must not take more load"


def move_plan(
    risks: Sequence[Risk], state: ClusterState, prices: Prices, now: datetime, settings: PlanSettings
) -> Plan | tuple[Refusal, ...]:
    """One plan for all of `risks`, or why there is none for each of them."""
    placing = any(risk.rule.startswith("AVL") for risk in risks)
    problem = _problem(risks, state, prices, settings, placing)
    if isinstance(problem, str):
        return tuple(refused(risk, problem) for risk in risks)
    solution = solve(problem)
    why = _why_not(problem, solution, state, settings, placing)
    if solution is None or why:
        return tuple(refused(risk, why) for risk in risks)
    return _plan(risks, state, prices, now, settings, problem, solution)


def _problem(
    risks: Sequence[Risk], state: ClusterState, prices: Prices, settings: PlanSettings, placing: bool
) -> Problem | str:
    live = {broker.id for broker in state.live}
    targets = frozenset(broker.id for broker in state.live if not broker.cordoned)
    offline = [p for p in state.partitions if p.leader not in live]
    if lost := mass_loss(state):
        return lost
    if len(live) < 2 and not offline:
        return "there is one live broker: nothing can be moved off it"
    if not targets:
        return "every live broker is cordoned: nothing may receive a partition"
    if placing and not offline:
        return "no partition is offline: its partitions already have a live leader, so bring the broker back"
    if offline and state.kind == "kafka":
        stuck = f"{offline[0].topic}-{offline[0].partition}"
        return f"{stuck} has no live copy: Apache Kafka cannot copy from a dead broker; bring the broker back"
    idle = _idle(risks, state, targets)
    balancing = any(not risk.rule.startswith("AVL") for risk in risks)
    free = [p for p in state.partitions if balancing and p.leader in live and _movable(p, state, bool(idle))]
    movable = [p for p in free if not copies.too_fast(state, p, settings)]
    if free and not movable and not offline:
        return (
            f"more is written to each partition than a copy at {size(settings.throttle_bytes_per_s)}/s could catch up "
            "with: raise [act] throttle"
        )
    if balancing and not offline and not any(p.bytes_in_per_s for p in movable) and not idle:
        return (
            "no partition that may move has a known load: wait for a minute of metrics, and see whether each broker's "
            "answer comes (streampilot status): a slow JMX exporter needs a longer scrape_timeout"
        )
    must = sorted(offline, key=lambda p: (-(p.bytes_in_per_s or 0.0), p.id))[: settings.max_moves]
    chosen = [*must, *movable]
    return Problem(
        fixed=_fixed(state, {p.id for p in movable}),
        items=tuple(
            Item(key=p.id, load=p.bytes_in_per_s or 0.0, source=p.leader if p.leader in live else None) for p in chosen
        ),
        targets=targets,
        cap=settings.max_moves - len(must),
        aim=settings.aim,
        price=prices.move,
        fewest=_shares(idle, state, len(movable), settings.max_moves - len(must)),
        floors={broker: _largest(state, {}, broker, {p.id for p in movable}) for broker in live},
        time_limit_s=settings.solver_seconds,
    )


def _movable(partition: PartitionState, state: ClusterState, by_count: bool) -> bool:
    known = partition.bytes_in_per_s is not None or by_count
    return known and not partition.internal and partition.id not in state.pinned


def _idle(risks: Sequence[Risk], state: ClusterState, targets: frozenset[int]) -> list[int]:
    named = {int(parts(risk.resource)[2]) for risk in risks if risk.rule == "BAL-06"}
    owners = {p.leader for p in state.partitions if not p.internal}
    return sorted((named & targets) - owners)


def _shares(idle: list[int], state: ClusterState, movable: int, cap: int) -> dict[int, int]:
    """An idle broker gets its fair share of the leaders, as far as there are any to move."""
    if not idle or not movable:
        return {}
    fair = sum(not p.internal for p in state.partitions) // max(len(state.live), 1)
    return dict.fromkeys(idle, max(min(fair, movable // len(idle), cap // len(idle)), 1))


def _fixed(state: ClusterState, movable: set[tuple[str, int]]) -> dict[int, float]:
    fixed: dict[int, float] = {}
    for broker in state.live:
        own = [p for p in state.partitions if p.leader == broker.id]
        explained = sum(p.bytes_in_per_s or 0.0 for p in own)
        beyond = max((broker.bytes_in_per_s or 0.0) - explained, 0.0)
        fixed[broker.id] = beyond + sum(p.bytes_in_per_s or 0.0 for p in own if p.id not in movable)
    return fixed


def _why_not(
    problem: Problem, solution: Solution | None, state: ClusterState, settings: PlanSettings, placing: bool
) -> str:
    """Why the solution is no plan; empty where it is one."""
    if solution is None:
        return f"the solver found no placement within {settings.solver_seconds:g} s that keeps every constraint"
    ratio = _ratio(solution.loads)
    if placing or problem.fewest or (solution.moves and _cured(problem, solution, state, settings)):
        return ""
    before = _ratio(loads(problem, {}))
    if not solution.moves and before < settings.limit:
        return f"the busiest broker is at {before:.2f} of the mean already, under {settings.limit:g}"
    if len(solution.moves) >= problem.cap and ratio < before:
        return ""
    return _best_possible(solution, state, settings)


def _cured(problem: Problem, solution: Solution, state: ClusterState, settings: PlanSettings) -> bool:
    mean = mean_load(problem)
    return all(
        load < settings.limit * max(mean, _largest(state, solution.moves, broker))
        for broker, load in solution.loads.items()
    )


def _largest(
    state: ClusterState, moves: Mapping[PartitionId, int], broker: int, without: Collection[PartitionId] = ()
) -> float:
    """The bytes of the largest single partition on a broker once `moves` are made."""
    own = [p for p in state.partitions if moves.get(p.id, p.leader) == broker and p.id not in without]
    return max((p.bytes_in_per_s or 0.0 for p in own), default=0.0)


def _best_possible(solution: Solution, state: ClusterState, settings: PlanSettings) -> str:
    ratio = _ratio(solution.loads)
    mean = sum(solution.loads.values()) / max(len(solution.loads), 1)
    busiest = max(solution.loads, key=lambda broker: (solution.loads[broker], -broker))
    own = [p for p in state.partitions if solution.moves.get(p.id, p.leader) == busiest]
    text = f"the best possible is {ratio:.2f} of the mean, not under {settings.limit:g}"
    if own:
        largest = max(own, key=lambda p: (p.bytes_in_per_s or 0.0, p.id))
        share = (largest.bytes_in_per_s or 0.0) / mean if mean else 0.0
        pinned = ", and its keys are skewed: a move only shifts it" if largest.id in state.pinned else ""
        text += f": {largest.topic}-{largest.partition} alone carries {share:.2f} of a broker's mean{pinned}"
    return text


def _ratio(load: Mapping[int, float]) -> float:
    values = list(load.values())
    mean = sum(values) / len(values) if values else 0.0
    return max(values) / mean if mean else 1.0


def _plan(
    risks: Sequence[Risk],
    state: ClusterState,
    prices: Prices,
    now: datetime,
    settings: PlanSettings,
    problem: Problem,
    solution: Solution,
) -> Plan:
    by_id = {p.id: p for p in state.partitions}
    moving = sorted(solution.moves, key=lambda key: (-(by_id[key].bytes_in_per_s or 0.0), key))
    steps = tuple(_step(n, by_id[key], solution.moves[key], state, settings) for n, key in enumerate(moving, 1))
    names = {key: f"{key[0]}-{key[1]}" for key in moving}
    before = outlook(loads(problem, {}), {names[key]: list(by_id[key].replicas) for key in moving})
    after = outlook(
        dict(solution.loads), {names[key]: new_replicas(by_id[key], solution.moves[key], state) for key in moving}
    )
    owners = sorted({by_id[key].leader for key in moving})
    origin = ", ".join("nowhere" if owner < 0 else f"broker {owner}" for owner in owners)
    plural = "partition" if len(moving) == 1 else "partitions"
    return proposed(
        risks,
        state,
        now,
        settings,
        title=f"Move {len(moving)} {plural} off {origin}",
        before=before,
        after=after,
        usd_per_month=None,
        risk=_risk(state, prices, settings, solution, [by_id[key] for key in moving]),
        steps=steps,
    )


def new_replicas(partition: PartitionState, target: int, state: ClusterState) -> list[int]:
    """The target first, then the old replicas in their order: live ones in other zones before the rest, same length."""
    brokers = {broker.id: broker for broker in state.brokers}
    chosen = [target]
    rest = [broker for broker in partition.replicas if broker != target]

    def fits(broker: int) -> bool:
        known = brokers.get(broker)
        zones = {brokers[other].zone for other in chosen if other in brokers}
        return known is not None and known.up and (known.zone is None or known.zone not in zones)

    length = max(len(partition.replicas), 1)
    for wanted in (fits, lambda broker: True):
        for broker in rest:
            if len(chosen) < length and broker not in chosen and wanted(broker):
                chosen.append(broker)
    return chosen


def _step(n: int, partition: PartitionState, target: int, state: ClusterState, settings: PlanSettings) -> Step:
    replicas = new_replicas(partition, target, state)
    restore = [partition.leader, *(broker for broker in partition.replicas if broker != partition.leader)]
    undo = restore if partition.leader >= 0 else list(partition.replicas)
    where: dict[str, Cell] = {"topic": partition.topic, "partition": partition.partition}
    copied_to = copies.copies(state, partition, replicas)
    throttle: dict[str, Cell] = {"throttle_bytes_per_s": settings.throttle_bytes_per_s} if copied_to else {}
    what = commands.reassign(partition.id, replicas, settings.throttle_bytes_per_s if copied_to else None)
    elected = (commands.elect(partition.id),) if state.kind == "kafka" else ()
    return Step(
        n=n,
        action="MovePartitions",
        target=resource_id(state.cluster, "topic", partition.topic, partition.partition),
        params={**where, "replicas": replicas, **throttle},
        pre_image={**where, "leader": partition.leader, "replicas": list(partition.replicas)},
        undo={**where, "replicas": undo, **throttle},
        step_class="reversible",
        state="pending",
        success_test=f"the metadata shows leader {target} and replicas {replicas}, and no reassignment under way",
        commands=what + elected,
        effort=copies.effort(partition, copied_to, settings),
    )


def _risk(
    state: ClusterState,
    prices: Prices,
    settings: PlanSettings,
    solution: Solution,
    moving: Sequence[PartitionState],
) -> str:
    words = []
    if state.kind == "kafka":
        moved = [(p, copies.copies(state, p, new_replicas(p, solution.moves[p.id], state))) for p in moving]
        words.append(copies.in_all(moved, prices, settings))
        words.append("A leadership change makes clients refresh their metadata, and retry for a moment.")
    else:
        words.append("No data is copied. Producers and consumers of a moved partition reconnect to its new owner.")
    if any(p.leader >= 0 and p.replicas[:1] != (p.leader,) for p in moving):
        words.append("Some partitions are not led by their first replica: taking them back puts that leader first.")
    if any(p.leader < 0 for p in moving):
        words.append(
            "Partitions that are offline now have no owner to go back to: taking the plan back needs the broker."
        )
    if _ratio(solution.loads) >= settings.limit and len(solution.moves) >= settings.max_moves:
        words.append(f"It stops at the cap of {settings.max_moves} moves; another plan must follow.")
    elif _ratio(solution.loads) >= settings.limit:
        said = _best_possible(solution, state, settings)
        words.append(f"{said[0].upper()}{said[1:]}.")
    if not solution.proved:
        words.append("The solver's time ran out: a better plan may exist.")
    return " ".join(words)
