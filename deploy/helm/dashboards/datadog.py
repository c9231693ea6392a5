"""The dashboard of DataDog, over what DogStatsD sends: names without `_total`, labels as tags, histograms as distributions."""

import json
import re
from typing import Any, Final

from .panel import Age, Mean, Panel, Quantile, Query, Rate, Section, Series, Shape, Share, Source, Sum

VARIABLES: Final = ("env", "kube_namespace")

_KINDS: Final = {Shape.LINES: "line", Shape.STACK: "area"}


def datadog(title: str, about: str, sections: tuple[Section, ...]) -> str:
    """The dashboard's JSON, as DataDog imports it."""
    shown = [section for section in sections if section.source is not Source.OTHERS]
    dashboard = {
        "title": title,
        "description": about,
        "layout_type": "ordered",
        "template_variables": [{"name": name, "prefix": name, "default": "*"} for name in VARIABLES],
        "widgets": [
            {
                "definition": {
                    "type": "group",
                    "layout_type": "ordered",
                    "title": section.title,
                    "widgets": [{"definition": _widget(panel)} for panel in section.panels if _drawable(panel)],
                }
            }
            for section in shown
        ],
    }
    return json.dumps(dashboard, sort_keys=True, indent=2) + "\n"


def _drawable(panel: Panel) -> bool:
    """DataDog has no clock in its formulas, so an age cannot be drawn; its events and monitors tell of late jobs instead."""
    return not any(isinstance(line.query, Age) for line in panel.lines)


def _widget(panel: Panel) -> dict[str, Any]:
    queries: list[dict[str, str]] = []
    formulas: list[dict[str, str]] = []
    for line in panel.lines:
        names = []
        for text in _queries(line.query):
            names.append(f"q{len(queries)}")
            queries.append({"data_source": "metrics", "name": names[-1], "query": text})
        formulas.append({"formula": " / ".join(names), "alias": re.sub(r"\s*\{\w+\}", "", line.legend) or panel.title})
    match panel.shape:
        case Shape.VALUE:
            request: dict[str, Any] = {"response_format": "scalar"}
            queries = [{**query, "aggregator": "last"} for query in queries]
            kind = "query_value"
        case Shape.TABLE:
            request = {"response_format": "scalar"}
            queries = [{**query, "aggregator": "last"} for query in queries]
            kind = "query_table"
        case _:
            request = {"response_format": "timeseries", "display_type": _KINDS[panel.shape]}
            kind = "timeseries"
    return {"type": kind, "title": panel.title, "requests": [{**request, "queries": queries, "formulas": formulas}]}


def _queries(query: Query) -> tuple[str, ...]:
    """One, or two of which the first is divided by the second."""
    match query:
        case Rate(of):
            # Observations of a distribution are counted by asking for its count.
            space = "count" if of.metric.endswith("_count") else "sum"
            return (f"{space}:{_name(of.metric)}{_scope(of)}.as_rate()",)
        case Sum(of):
            return (f"sum:{_name(of.metric)}{_scope(of)}",)
        case Quantile(of, at):
            return (f"p{at * 100:g}:{_name(of.metric)}{_scope(of)}",)
        case Mean(of):
            return (f"avg:{_name(of.metric)}{_scope(of)}",)
        case Share(part, whole):
            return (*_queries(part), *_queries(whole))
        case Age(_):
            raise ValueError(f"{query} cannot be drawn")


def _name(metric: str) -> str:
    return metric.removesuffix("_total").removesuffix("_count")


def _scope(series: Series) -> str:
    filters = [
        *(f"${name}" for name in VARIABLES),
        *(f"{label}:{value}" for label, value in series.where.items()),
        *(f"!{label}:{value}" for label, value in series.unlike.items()),
    ]
    by = f" by {{{','.join(series.by)}}}" if series.by else ""
    return "{" + ",".join(filters) + "}" + by
