"""The dashboards: they show what is measured, by names and labels that exist."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from itertools import combinations
from typing import Any

import pytest
from undertone_client.telemetry import CATALOGUE as CLIENT
from undertone_sidecar.metrics import CATALOGUE as SIDECAR
from undertone_telemetry.dispatch import CATALOGUE as TELEMETRY
from undertone_telemetry.jobs import CATALOGUE as JOBS
from undertone_telemetry.metrics import Kind, Metric

from deploy.helm.dashboards.__main__ import SECTIONS
from deploy.helm.dashboards.datadog import datadog
from deploy.helm.dashboards.grafana import grafana
from deploy.helm.dashboards.panel import Mean, Quantile, Rate, Section, Series, Source, Sum
from tests.chart.support.paths import ROOT

CATALOGUE = {metric.name: metric for metric in (*SIDECAR, *CLIENT, *JOBS, *TELEMETRY)}
OURS = [section for section in SECTIONS if section.source is not Source.OTHERS]
# The limits of what is drawn are the alerts' business, or their neighbours say the same.
NOT_SHOWN = {
    "grpc_client_request_bytes",
    "grpc_client_response_bytes",
    "grpc_client_started_total",
    "grpc_server_started_total",
    "undertone_job_started_timestamp_seconds",
}


def queries(value: Any) -> Iterator[Any]:
    """All queries within a section, from the outermost to those they are made of."""
    if is_dataclass(value):
        yield value
        for field in fields(value):
            yield from queries(getattr(value, field.name))
    elif isinstance(value, tuple):
        for member in value:
            yield from queries(member)


def series(section: Section) -> Iterator[tuple[Any, Series, Metric]]:
    """Each query of one metric, with the metric."""
    for query in queries(section):
        if isinstance(getattr(query, "of", None), Series):
            name = query.of.metric
            yield query, query.of, CATALOGUE.get(name) or CATALOGUE[name.removesuffix("_count")]


def test_are_up_to_date() -> None:
    subprocess.run([sys.executable, "-m", "deploy.helm.dashboards", "--check"], check=True, cwd=ROOT)


@pytest.mark.parametrize("section", OURS, ids=lambda section: section.title)
def test_metrics_are_asked_for_by_their_kind_and_labels(section: Section) -> None:
    for query, asked, metric in series(section):
        assert {*asked.by, *asked.where, *asked.unlike} <= {*metric.labels, "job"}, asked
        match query:
            case Quantile() | Mean():
                assert metric.kind is Kind.HISTOGRAM, asked
            case Rate():
                assert (metric.kind, asked.metric) in (
                    (Kind.COUNTER, metric.name),
                    (Kind.HISTOGRAM, f"{metric.name}_count"),
                ), asked
            case Sum():
                # Of a counter only where it starts anew with each run.
                assert metric.kind in (Kind.GAUGE, Kind.INFO) or metric in JOBS, asked


def test_every_metric_is_shown() -> None:
    shown = {metric.name for section in OURS for _, _, metric in series(section)}
    assert CATALOGUE.keys() - shown == NOT_SHOWN


def test_panels_of_grafana_have_their_own_places_and_ids() -> None:
    panels = json.loads(grafana("Undertone", "", SECTIONS))["panels"]
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y, (one, other)


def test_the_descriptions_say_what_a_panel_is() -> None:
    for section in SECTIONS:
        for panel in section.panels:
            assert panel.meaning.endswith("."), panel.title
            assert len({panel.title for panel in section.panels}) == len(section.panels)
    assert len({section.title for section in SECTIONS}) == len(SECTIONS)


def test_datadog_is_asked_for_what_dogstatsd_sends() -> None:
    """Its names have no _total, and its histograms are distributions: quantiles and counts without suffixes."""
    sent = {name.removesuffix("_total") for name in CATALOGUE}
    widgets = [
        widget
        for group in json.loads(datadog("Undertone", "", SECTIONS))["widgets"]
        for widget in group["definition"]["widgets"]
    ]
    asked = [
        query["query"] for widget in widgets for request in widget["definition"]["requests"] for query in request["queries"]
    ]
    assert asked
    for query in asked:
        space, _, rest = query.partition(":")
        assert space in ("sum", "avg", "count", "p10", "p50", "p90", "p99")
        assert rest.partition("{")[0] in sent, query
