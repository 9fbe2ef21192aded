"""The diagnosis over time: what opens a risk, what keeps it, what hides it, and what it says of its silence."""

from datetime import timedelta

import duckdb
import pytest

from rules import catalogue
from rules.errors import RuleError
from tests.agent.diagnose.clusters import Cluster, told, why
from tests.rules.pages import page

HOT = ("BAL-01", "demo/broker/0")


def test_a_healthy_cluster_has_no_findings_and_a_reason_for_every_silence(tmp_path):
    cluster = Cluster(tmp_path)
    last = cluster.after(300)
    assert (last.findings, last.risks) == ((), ())
    assert {silence.rule for silence in last.silences} == {rule.id for rule in catalogue.load()}
    assert "demo/broker/0: 1 times the mean, the limit is 1.25" in why(last, "BAL-01")


def test_a_skew_below_the_floor_says_which_guard_keeps_it_silent(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.load(0.8, 0.2, 0.2)
    reason = why(cluster.after(300), "BAL-01")
    assert "2 times the mean, the limit is 1.25; a guard holds it back (floor_bytes_per_s = 1,048,576)" in reason
    assert reason.endswith("streampilot rules show BAL-01")


def test_three_looks_open_a_risk_and_two_do_not(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.after(60)
    cluster.load(8, 2, 2)
    early = cluster.after(20)
    assert early.findings == ()
    assert why(early, "BAL-01") == "demo/broker/0 is over the limit in 2 of the 3 looks it takes"
    assert [silence.rule for silence in early.silences if silence.over] == ["BAL-01"]
    assert told(cluster.after(10)) == {HOT}


def test_a_rule_that_fires_without_having_persisted_is_a_suspicion_and_no_finding(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.after(60)
    assert cluster.diagnosis.suspected("BAL-01", cluster.clock.now()) == ()
    cluster.load(8, 2, 2)
    assert cluster.after(10).findings == ()
    assert cluster.diagnosis.suspected("BAL-01", cluster.clock.now()) == ("demo/broker/0",)


def test_a_spike_opens_nothing(tmp_path):
    cluster = Cluster(tmp_path)
    for _ in range(5):
        cluster.load(8, 2, 2)
        cluster.after(10)
        cluster.load(2, 2, 2)
        assert cluster.after(20).findings == ()


def test_a_risk_keeps_its_id_and_first_snapshot_while_it_lasts(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.load(8, 2, 2)
    (first,) = cluster.after(30).risks
    cluster.load(9, 2, 2)
    (later,) = cluster.after(30).risks
    assert (later.id, later.first_seen, later.count) == (first.id, first.first_seen, first.count + 3)
    assert later.snapshot == first.snapshot
    assert later.latest.observed > first.latest.observed
    assert later.explanation.startswith(
        "One broker carries more write traffic than its peers: demo/broker/0 is at 2.08"
    )


def test_a_finding_carries_its_numbers_parameters_and_evidence(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.load(8, 2, 2)
    (found,) = cluster.after(30).findings
    assert (found.observed, found.limit, found.unit, found.confidence) == (2.0, 1.25, "times the mean", 1.0)
    assert found.params["broker"] == "0"
    own, *seen = found.evidence
    assert own.rows[0]["mean_bytes_in_per_s"] == 4 * 1024 * 1024
    assert [evidence.view for evidence in seen] == ["broker", "broker_load", "partition", "partition_load"]
    assert {row["resource"] for row in seen[1].rows} == {"demo/broker/0", "demo/broker/1", "demo/broker/2"}


def test_estimated_rows_lower_the_confidence(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.load(8, 2, 2)
    for row in cluster.rows["partition_load"]:
        row["basis"] = "estimated"
    assert cluster.after(30).findings[0].confidence < 1


def test_a_risk_is_resolved_after_as_long_as_it_took_to_open(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.load(8, 2, 2)
    (opened,) = cluster.after(30).risks
    cluster.load(2, 2, 2)
    assert told(cluster.after(20)) == {HOT}
    last = cluster.after(10)
    assert last.findings == ()
    assert [(risk.id, risk.state) for risk in last.risks] == [(opened.id, "resolved")]
    assert cluster.after(10).risks == ()
    assert [risk.state for risk in cluster.diagnosis.risks()] == ["resolved"]


def test_a_resource_that_is_gone_has_recovered(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.brokers(up=(0, 1), down=(2,))
    assert told(cluster.after(40)) == {("AVL-03", "demo/broker/2")}
    cluster.brokers(up=(0, 1))
    assert cluster.after(40).findings == ()


def test_no_data_is_not_recovery(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.load(8, 2, 2)
    cluster.after(30)
    cluster.rows["broker_load"] = "the exporters do not answer"
    assert told(cluster.after(300)) == {HOT}
    cluster.rows["broker_load"] = []
    cluster.load(2, 2, 2)
    assert cluster.after(30).findings == ()


def test_no_data_is_no_fault_either_and_says_why(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.rows["broker_load"] = "the exporters do not answer"
    last = cluster.after(60)
    assert last.findings == ()
    assert why(last, "BAL-01") == "no data for broker_load: the exporters do not answer"


def test_too_young_data_says_how_long_to_wait(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.age = 86_400.0
    assert why(cluster.after(10), "TOP-01") == "needs 6 days more of data"


def test_an_open_risk_outlives_a_restart_and_is_resolved_after_it(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.load(8, 2, 2)
    (opened,) = cluster.after(30).risks
    cluster.restart()
    assert [risk.id for risk in cluster.after(10).risks] == [opened.id]
    cluster.load(2, 2, 2)
    assert cluster.after(40).findings == ()


def test_the_risk_of_a_rule_that_was_disabled_is_closed(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.load(8, 2, 2)
    cluster.after(30)
    cluster.pages = catalogue.load(disabled=["BAL-01"])
    cluster.restart()
    assert cluster.after(10).findings == ()


def test_two_of_three_brokers_gone_is_one_finding_and_no_rebalance(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.after(60)
    cluster.brokers(up=(0,), down=(1, 2))
    for _ in range(12):
        assert told(cluster.after(10)) <= {("AVL-04", "demo/component/brokers")}
    last = cluster.after(10)
    assert told(last) == {("AVL-04", "demo/component/brokers")}
    (cause,) = [risk for risk in last.risks if risk.rule == "AVL-04"]
    hidden = [risk for risk in last.risks if risk.rule == "AVL-03"]
    assert [(risk.state, risk.caused_by) for risk in hidden] == [("suppressed", cause.id)] * 2


def test_a_dead_broker_hides_the_skew_that_it_causes(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.after(60)
    cluster.brokers(up=(0, 1, 2), down=(3,))
    cluster.load(5, 2, 2)
    assert "AVL-03 on demo/broker/3 may be the cause" in why(cluster.after(30), "BAL-01")
    last = cluster.after(30)
    assert told(last) == {("AVL-03", "demo/broker/3")}
    cluster.brokers(up=(0, 1, 2))
    assert told(cluster.after(60)) == {HOT}


def test_a_group_is_hidden_by_its_own_coordinator_only(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.brokers(up=(0, 1), down=(2,))
    cluster.rows["group_state"] = [
        {"resource": f"demo/group/{name}", "group_id": name, "members": 0, "state": "Empty", "coordinator": broker}
        for name, broker in (("near", "2"), ("far", "0"))
    ]
    cluster.rows["group_lag"] = [
        {"resource": f"demo/group/{name}", "group_id": name, "topic": "orders", "partition": 0, "lag_records": 9000}
        for name in ("near", "far")
    ]
    last = cluster.after(300)
    assert told(last) == {("AVL-03", "demo/broker/2"), ("LAG-02", "demo/group/far")}


def test_a_muted_risk_is_kept_and_not_told(tmp_path):
    until = {"until": "2026-03-04T13:00:00Z", "owner": "me", "reason": "known"}
    cluster = Cluster(tmp_path, mutes=[{"resource": "demo/broker/0", "rule": "BAL-*", **until}])
    cluster.load(8, 2, 2)
    last = cluster.after(60)
    assert (last.findings, [risk.state for risk in last.risks]) == ((), ["muted"])
    assert told(cluster.after(3600, step=300)) == {HOT}


def test_a_maintenance_keeps_quiet_until_ten_minutes_after_its_end(tmp_path):
    cluster = Cluster(tmp_path, maintenances=[{"from": "2026-03-04T11:59:00Z", "until": "2026-03-04T12:05:00Z"}])
    cluster.load(8, 2, 2)
    last = cluster.after(14 * 60, step=30)
    assert (last.findings, [risk.state for risk in last.risks]) == ((), ["suppressed"])
    assert told(cluster.after(120, step=30)) == {HOT}


def test_time_scale_divides_the_durations(tmp_path):
    cluster = Cluster(tmp_path, time_scale=10)
    cluster.load(8, 2, 2)
    assert told(cluster.after(3, step=1)) == {HOT}


def test_a_page_that_fails_says_so_and_the_others_go_on(tmp_path):
    folder = tmp_path / "rules"
    folder.mkdir()
    broken = page(("bytes_in_per_s > $floor AS fired", "CAST('b' || broker AS INTEGER) > $floor AS fired"))
    (folder / "mine.md").write_text(broken)
    cluster = Cluster(tmp_path, pages=catalogue.load([folder]))
    cluster.load(8, 2, 2)
    last = cluster.after(30)
    assert told(last) == {HOT}
    assert "mine.md failed: TST-01: the query failed: Conversion Error: Could not convert string 'b0'" in why(
        last, "TST-01"
    )


@pytest.mark.parametrize("trouble", [ValueError("half a row"), duckdb.IOException("half a row")])
def test_a_source_that_fails_silences_only_the_rules_that_need_it(tmp_path, trouble):
    cluster = Cluster(tmp_path)
    cluster.load(8, 2, 2)
    cluster.rows["client_load"] = trouble
    last = cluster.after(30)
    assert told(last) == {HOT}
    assert "half a row" in why(last, "CLI-02")


def test_an_override_moves_the_threshold_and_a_wrong_one_is_refused(tmp_path):
    cluster = Cluster(tmp_path, overrides={"BAL-01": {"skew": 3.0}})
    cluster.load(8, 2, 2)
    assert cluster.after(60).findings == ()
    with pytest.raises(RuleError, match="no threshold `skw`"):
        Cluster(tmp_path / "other", overrides={"BAL-01": {"skw": 3.0}})


def test_a_fix_is_confirmed_by_looks_whose_whole_window_is_newer(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.load(8, 2, 2)
    (risk,) = cluster.after(30).risks
    fixed_at = cluster.clock.now()
    cluster.load(2, 2, 2)
    cluster.after(60)
    assert cluster.diagnosis.confirm(risk, fixed_at) is None
    cluster.after(30)
    assert cluster.diagnosis.confirm(risk, fixed_at) is True


def test_a_fix_that_does_not_help_is_denied_although_the_risk_is_muted(tmp_path):
    cluster = Cluster(tmp_path, mutes=[{"rule": "BAL-01"}])
    cluster.load(8, 2, 2)
    (risk,) = cluster.after(30).risks
    acted_at = cluster.clock.now()
    cluster.after(120)
    assert cluster.diagnosis.confirm(risk, acted_at) is False
    assert cluster.diagnosis.confirm(risk, cluster.clock.now() + timedelta(minutes=1)) is None


def test_an_acknowledged_risk_stays_acknowledged(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.load(8, 2, 2)
    (risk,) = cluster.after(30).risks
    assert cluster.diagnosis.acknowledge(risk.id).state == "acknowledged"
    assert [risk.state for risk in cluster.after(30).risks] == ["acknowledged"]
    assert cluster.diagnosis.acknowledge("nobody") is None


def test_a_clock_that_steps_back_does_not_stop_the_looks(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.after(60)
    cluster.clock.wind(-3600)
    cluster.load(8, 2, 2)
    assert told(cluster.after(40)) == {HOT}
