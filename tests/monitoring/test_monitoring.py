"""test_monitoring.py: the dashboard and the alert rules of systemd/monitoring/.

Each metric that they name is one that fcachectl metrics prints: fcached-stats(7) has those of the statistics, which other
tests compare with the table, and fcachectl-metrics(1) the rest."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "systemd" / "monitoring"
ALERTS = MONITORING / "fcached-alerts.yml"
RULE_TESTS = MONITORING / "fcached-alerts-test.yml"
DASHBOARD = MONITORING / "fcached-dashboard.json"
METRIC = re.compile(r"\bfcached_[a-z_]+")
LABELS = {"instance", "job", "namespace", "cause", "part", "resource", "path", "operation", "le"}
COLUMNS = 24

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="there is no promtool (Debian package prometheus)"
)


def metrics() -> set[str]:
    text = "".join(
        (ROOT / "docs" / "man" / f"{page}.scd").read_text()
        for page in ("fcached-stats.7", "fcachectl-metrics.1")
    )
    found = set(METRIC.findall(text.replace("\\", "")))
    assert len(found) > 80
    return found | {f"fcached_latency_seconds_{end}" for end in ("bucket", "sum", "count")}


def is_known(name: str, known: set[str]) -> bool:
    others = "fcached_other_namespaces_"
    if name.startswith(others):
        name = "fcached_namespace_" + name[len(others) :]
        return name in known or f"{name}_total" in known
    return name in known


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return loaded


def expressions() -> list[str]:
    found = [t["expr"] for panel in dashboard()["panels"] for t in panel.get("targets", ())]
    assert len(found) > 30
    return found


@pytest.mark.parametrize("path", [ALERTS, RULE_TESTS, DASHBOARD], ids=lambda path: path.name)
def test_metrics_exist(path: Path) -> None:
    known = metrics()
    # the descriptions end sentences with names
    named = set(METRIC.findall(path.read_text())) - {"fcached_"}
    assert len(named) > 10
    assert {name for name in named if not is_known(name, known)} == set()


def test_labels_exist() -> None:
    text = " ".join([*expressions(), ALERTS.read_text()])
    used = set(re.findall(r'[{,]\s*([a-z_]+)\s*=~?"', text))
    for names in re.findall(r"\b(?:by|without|ignoring) \(([^)]*)\)", text):
        used.update(name.strip() for name in names.split(","))
    assert used and used <= LABELS


def test_every_rule_has_a_test_and_texts() -> None:
    rules = re.findall(r"- alert: (\w+)", ALERTS.read_text())
    tested = RULE_TESTS.read_text()
    assert len(rules) == len(set(rules)) > 10
    assert [rule for rule in rules if rule not in tested] == []
    for key in ("severity:", "summary:", "description:"):
        assert ALERTS.read_text().count(key) == len(rules)


def test_panels_do_not_overlap() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= COLUMNS
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def promtool(*words: str | Path) -> None:
    done = subprocess.run(["promtool", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_rules_are_valid() -> None:
    promtool("check", "rules", ALERTS)


@needs_promtool
def test_rules_fire_when_they_should() -> None:
    promtool("test", "rules", RULE_TESTS)


@needs_promtool
def test_expressions_of_dashboard_are_valid(tmp_path: Path) -> None:
    variables = {"$__rate_interval": "5m", "$instance": ".*", "$namespace": ".*"}
    rules = []
    for n, expression in enumerate(expressions()):
        for name, value in variables.items():
            expression = expression.replace(name, value)
        rules.append({"record": f"panel:{n}", "expr": expression})
    path = tmp_path / "rules.yml"  # JSON is YAML
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", path)
