"""The dashboards: the metrics, labels and kinds of their queries."""

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
from undertone_telemetry import Kind, Metric
from undertone_telemetry.dispatch import CATALOGUE as TELEMETRY
from undertone_telemetry.jobs import CATALOGUE as JOBS

from deploy.helm.dashboards.__main__ import SECTIONS
from deploy.helm.dashboards.datadog import datadog
from deploy.helm.dashboards.grafana import grafana
from deploy.helm.dashboards.model import Mean, Quantile, Rate, Section, Series, Source, Sum
from tests.chart.support.paths import ROOT

CATALOGUE = {metric.name: metric for metric in (*SIDECAR, *CLIENT, *JOBS, *TELEMETRY)}
OWN_SECTIONS = [section for section in SECTIONS if section.source is not Source.INFRASTRUCTURE]
NOT_SHOWN = {
    "grpc_client_request_bytes",
    "grpc_client_response_bytes",
    "grpc_client_started_total",
    "grpc_server_started_total",
    "undertone_http_requests_total",
    "undertone_job_finish_by_timestamp_seconds",
    "undertone_job_forecast_end_timestamp_seconds",
    "undertone_job_started_timestamp_seconds",
    "undertone_tls_certificate_expiry_timestamp_seconds",
}
"""Metrics without a panel: others show the same, only alerts use them, or they need
TLS or the HTTP port, which are off by default."""


def queries(value: Any) -> Iterator[Any]:
    """All objects of a section: panels, queries, and the queries inside them."""
    if is_dataclass(value):
        yield value
        for field in fields(value):
            yield from queries(getattr(value, field.name))
    elif isinstance(value, tuple):
        for member in value:
            yield from queries(member)


def metric_queries(section: Section) -> Iterator[tuple[Any, Series, Metric]]:
    """The queries of single metrics, with their series and metrics."""
    for query in queries(section):
        if isinstance(getattr(query, "series", None), Series):
            name = query.series.metric
            yield query, query.series, CATALOGUE.get(name) or CATALOGUE[name.removesuffix("_count")]


def test_files_are_up_to_date() -> None:
    subprocess.run([sys.executable, "-m", "deploy.helm.dashboards", "--check"], check=True, cwd=ROOT)


@pytest.mark.parametrize("section", OWN_SECTIONS, ids=lambda section: section.title)
def test_queries_match_kinds_and_labels_of_metrics(section: Section) -> None:
    for query, selected, metric in metric_queries(section):
        assert {*selected.by, *selected.equal, *selected.not_equal} <= {*metric.labels, "job"}, selected
        match query:
            case Quantile() | Mean():
                assert metric.kind is Kind.HISTOGRAM, selected
            case Rate():
                assert (metric.kind, selected.metric) in (
                    (Kind.COUNTER, metric.name),
                    (Kind.HISTOGRAM, f"{metric.name}_count"),
                ), selected
            case Sum():
                # Counters of jobs can be summed, because they start at 0 in each run.
                assert metric.kind in (Kind.GAUGE, Kind.INFO) or metric in JOBS, selected


def test_every_metric_is_shown() -> None:
    shown = {metric.name for section in OWN_SECTIONS for _, _, metric in metric_queries(section)}
    assert CATALOGUE.keys() - shown == NOT_SHOWN


def test_panels_of_grafana_do_not_overlap() -> None:
    panels = json.loads(grafana("Undertone", "", SECTIONS))["panels"]
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        side_by_side = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        stacked = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert side_by_side or stacked, (one, other)


def test_panels_have_descriptions_and_unique_titles() -> None:
    for section in SECTIONS:
        for panel in section.panels:
            assert panel.description.endswith("."), panel.title
            assert len({panel.title for panel in section.panels}) == len(section.panels)
    assert len({section.title for section in SECTIONS}) == len(SECTIONS)


def test_queries_of_datadog_match_the_metrics_of_dogstatsd() -> None:
    """In Datadog, names have no _total, and histograms are distributions without suffixes."""
    sent = {name.removesuffix("_total") for name in CATALOGUE}
    widgets = [
        widget
        for group in json.loads(datadog("Undertone", "", SECTIONS))["widgets"]
        for widget in group["definition"]["widgets"]
    ]
    texts = [
        query["query"] for widget in widgets for request in widget["definition"]["requests"] for query in request["queries"]
    ]
    assert texts
    for text in texts:
        aggregation, _, rest = text.partition(":")
        assert aggregation in ("sum", "avg", "count", "p10", "p50", "p90", "p99")
        assert rest.partition("{")[0] in sent, text
