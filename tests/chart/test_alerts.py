"""The alerts: unit tests with promtool, runbooks, and the values that change them."""

import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from undertone_bench.chart import Chart

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.paths import ROOT
from tests.chart.support.prometheus import find

CASES = sorted((Path(__file__).parent / "alerts").glob("*.yaml"))
GROUPS = {
    "batch": ["undertone-batch"],
    "budgets": ["undertone-ratios", "undertone-budgets"],
    "serving": ["undertone-serving"],
}
"""The rule groups that each file of test cases covers."""

RULES = {"monitoring": {"prometheusRule": True}}

Group = Mapping[str, Any]


def groups(chart: Chart, **values: Any) -> list[Group]:
    rendered: list[Group] = chart.render({**RULES, **values}).one("PrometheusRule")["spec"]["groups"]
    return rendered


def alerts(groups: Sequence[Group]) -> Iterator[Mapping[str, Any]]:
    return (rule for group in groups for rule in group["rules"] if "alert" in rule)


def names(groups: Sequence[Group]) -> set[str]:
    return {rule["alert"] for rule in alerts(groups)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_promtool_passes(chart: Chart, tmp_path: Path, case: Path) -> None:
    promtool = find("promtool")
    rules = [group for group in groups(chart) if group["name"] in GROUPS[case.stem]]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": rules}))
    # Alerts read recorded series, so the order of the groups changes the values.
    settings = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "group_eval_order": GROUPS[case.stem]}
    cases = settings | yaml.safe_load(case.read_text())
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump(cases))
    ran = subprocess.run([promtool, "test", "rules", "cases.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_fleet_that_sleeps_fires_no_alert(chart: Chart, tmp_path: Path) -> None:
    """No pod is an error only if the Deployment has had replicas for a quarter of an hour."""
    values = {**COMBINATIONS["scale to zero"], **RULES, "networkPolicy": {"enabled": False}}
    rendered = groups(chart, **values)
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": rendered}))
    deployment = 'kube_deployment_spec_replicas{namespace="reading", deployment="spring-undertone-inference"}'
    healthy = (
        'envoy_cluster_membership_healthy{namespace="reading", pod="spring-undertone-envoy-a", envoy_cluster_name="sidecars"}'
    )
    breaker = 'undertone_client_breaker_state{namespace="reading", pod="spring-undertone-daily-a", state="closed"}'
    series = {deployment: "0x60 1x60", healthy: "0x120", breaker: "0x120"}
    alerts_about_pods = ("UndertoneNoHealthyPods", "UndertoneMetricsMissing", "UndertoneBreakerOpen")
    firing = [(name, at, at == "100m") for name in alerts_about_pods for at in ("50m", "70m", "100m")]
    # promtool compares annotations, too, so the series ALERTS is simpler.
    samples = [
        {
            "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) or vector(0)',
            "eval_time": at,
            "exp_samples": [{"labels": "{}", "value": int(fires)}],
        }
        for name, at, fires in firing
    ]
    inputs = [{"series": name, "values": each} for name, each in series.items()]
    test = {"interval": "1m", "input_series": inputs, "promql_expr_test": samples}
    cases = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump(cases))
    command = (find("promtool"), "test", "rules", "cases.yaml")
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_alert_has_firing_and_silent_cases(chart: Chart) -> None:
    fired: dict[str, set[bool]] = defaultdict(set)
    for case in CASES:
        for test in yaml.safe_load(case.read_text())["tests"]:
            for expected in test["alert_rule_test"]:
                fired[expected["alertname"]].add(bool(expected["exp_alerts"]))
    assert fired == {name: {True, False} for name in names(groups(chart))}


def test_every_rule_group_has_cases(chart: Chart) -> None:
    assert {case.stem for case in CASES} == GROUPS.keys()
    assert {name for listed in GROUPS.values() for name in listed} == {group["name"] for group in groups(chart)}


def test_every_alert_has_severity_annotations_and_runbook(chart: Chart) -> None:
    page = (ROOT / "docs/how-to/operations.md").read_text()
    runbooks = dict(re.findall(r"^### (\w+)\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL))
    for rule in alerts(groups(chart)):
        name = rule["alert"]
        assert rule["labels"].items() >= {"namespace": "reading", "release": "spring"}.items()
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert {"summary", "description", "runbook_url"} == rule["annotations"].keys()
        page_address, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert page_address.endswith("docs/how-to/operations.md")
        assert (anchor, name in runbooks) == (name.lower(), True), f"{name} has no runbook"
        for part in ("**Meaning.**", "**Impact.**", "**Diagnosis.**", "**Mitigation.**"):
            assert part in runbooks[name], f"the runbook of {name} has no {part}"
    assert set(runbooks) == names(groups(chart)), "a runbook has no alert"


def test_page_names_the_source_of_the_metrics_of_every_alert(chart: Chart) -> None:
    page = (ROOT / "docs/how-to/operations.md").read_text()
    (table,) = re.findall(r"^\| alerts \| need \|\n\|---\|---\|\n((?:\|.*\n)+)", page, re.MULTILINE)
    rows = [row.strip("| ").split(" | ") for row in table.splitlines()]
    sources = {
        "kube-state-metrics": r"\bkube_",
        "metrics of Envoy": r"\benvoy_",
        "Pushgateway": r"\bpush_time_seconds|\bundertone_job_",
        "metrics of the jobs": r"\bundertone_client_|\bundertone_job_forecast",
        "metrics of the sidecars": r"\bgrpc_server|\bundertone:|\bundertone_(?!client_|job_)",
    }
    always, asleep = groups(chart), groups(chart, **COMBINATIONS["scale to zero"])
    for condition, rendered in (("", always), ("scales to zero", asleep)):
        for source, pattern in sources.items():
            named = {
                name
                for alert, need in rows
                if source in need and ("scales to zero" not in alert or condition)
                for name in re.findall("`(Undertone\\w+)`", alert)
            }
            assert named == {rule["alert"] for rule in alerts(rendered) if re.search(pattern, rule["expr"])}, source


def test_values_change_the_objectives(chart: Chart) -> None:
    slo = {
        "availability": 0.99,
        "seconds": {"Classify": 0.256},
        "burnRates": [{"factor": 10, "long": "2h", "short": "10m", "for": "1m", "severity": "page"}],
    }
    rendered = groups(chart, monitoring={**RULES["monitoring"], "ruleInterval": "1m", "slo": slo})
    assert {group["interval"] for group in rendered} == {"1m"}
    (burn,) = [rule for rule in alerts(rendered) if rule["alert"] == "UndertoneErrorBudgetBurn"]
    assert "ratio_rate2h{" in burn["expr"]
    assert "ratio_rate10m{" in burn["expr"]
    assert "> 10 * (1 - 0.99)" in burn["expr"]
    assert (burn["for"], burn["labels"]["severity"]) == ("1m", "page")
    recorded = [rule["expr"] for group in rendered for rule in group["rules"] if "record" in rule]
    assert any('le="0.256"' in expression for expression in recorded)


def test_null_disables_an_alert(chart: Chart) -> None:
    without = groups(chart, monitoring={**RULES["monitoring"], "alerts": {"shedding": None, "batchLate": None}})
    assert names(groups(chart)) - names(without) == {"UndertoneShedding", "UndertoneBatchLate"}


@pytest.mark.parametrize(
    ("values", "omitted"),
    [
        (
            {"autoscaling": {"type": "none"}, "loadBalancer": {"type": "none"}},
            {"UndertonePodsAtMaximum", "UndertoneNoHealthyPods"},
        ),
        ({"loadBalancer": {"type": "none"}}, {"UndertoneNoHealthyPods"}),
        ({"batch": {"daily": {"suspend": True}}}, {"UndertoneBatchLate"}),
    ],
    ids=["no autoscaler", "no Envoy", "suspended"],
)
def test_alerts_without_their_object_are_omitted(chart: Chart, values: Mapping[str, Any], omitted: set[str]) -> None:
    assert names(groups(chart)) - names(groups(chart, **values)) == omitted


@pytest.mark.parametrize("scaling", ["none", "hpa", "keda", "spot"])
@pytest.mark.parametrize("balancer", ["envoy", "gatewayAPI", "none"])
def test_alert_about_the_maximum_covers_exactly_the_autoscalers_of_the_release(
    chart: Chart, scaling: str, balancer: str
) -> None:
    if (scaling, balancer) in {("spot", "gatewayAPI"), ("spot", "none")}:
        return  # refused: only Envoy sends calls to the spot nodes
    values: Mapping[str, Any] = {
        **RULES,
        **(COMBINATIONS[scaling] if scaling in {"keda", "spot"} else {"autoscaling": {"type": scaling}}),
        "loadBalancer": {"type": balancer, "gatewayAPI": {"parentRefs": [{"name": "public"}]}},
    }
    manifests = chart.render(values)
    autoscalers = {
        one["metadata"]["name"] for kind in ("HorizontalPodAutoscaler", "ScaledObject") for one in manifests.of(kind)
    }
    found = [rule for rule in alerts(groups(chart, **values)) if rule["alert"] == "UndertonePodsAtMaximum"]
    assert len(found) == bool(autoscalers)
    for rule in found:
        (pattern,) = set(re.findall('horizontalpodautoscaler=~"([^"]*)"', rule["expr"]))
        components = [f"spring-undertone-{name}" for name in ("envoy", "inference", "inference-spot")]
        assert {name for name in components if re.fullmatch(pattern, name)} == autoscalers
        # KEDA creates an autoscaler for each ScaledObject.
        assert all(re.fullmatch(pattern, f"keda-hpa-{one['metadata']['name']}") for one in manifests.of("ScaledObject"))
