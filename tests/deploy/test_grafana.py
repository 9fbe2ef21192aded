"""The dashboard draws what is exposed: a panel on a name that nobody exports is an empty panel."""

import json
import re
from pathlib import Path

from agent.serve.metrics import NAMES

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana/streampilot.json").read_text("utf-8"))
SUFFIXES = ("_bucket", "_sum", "_count")


def _expressions():
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]


def _broker_names():
    """Every metric name written in the broker's source, the summary pair spelled out."""
    files = [*(ROOT / "broker" / "telemetry").rglob("*.py"), ROOT / "broker" / "http.py"]
    text = "\n".join(file.read_text("utf-8") for file in files if file.exists())
    names = set(re.findall(r'"((?:kafka|streampilot|process)_[a-z0-9_]+)"', text))
    return names | {f"kafka_request_time_{share}_milliseconds" for share in ("50p", "99p") if share in text}


def test_every_metric_of_the_dashboard_is_exposed_by_the_agent_or_the_broker():
    known = NAMES | _broker_names()
    known |= {name + suffix for name in known for suffix in SUFFIXES}
    used = {name for text in _expressions() for name in re.findall(r"\b(?:kafka|streampilot|process)_[a-z0-9_]+", text)}
    assert len(used) > 15
    assert used - known == set()


def test_panels_have_ids_and_places_of_their_own():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in DASHBOARD["panels"])
