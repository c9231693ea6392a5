"""The dashboard of Datadog, for the metrics that DogStatsD sends.

In Datadog, names have no `_total`, labels are tags, and histograms are distributions.
"""

import json
import re
from typing import Any, Final

from .model import Age, Mean, Panel, Quantile, Query, Rate, Ratio, Section, Series, Source, Sum, Visualization

VARIABLES: Final = ("env", "kube_namespace")

_DISPLAY_TYPES: Final = {Visualization.LINES: "line", Visualization.STACK: "area"}


def datadog(title: str, description: str, sections: tuple[Section, ...]) -> str:
    """The JSON of the dashboard, for the import in Datadog."""
    shown = [section for section in sections if section.source is not Source.INFRASTRUCTURE]
    dashboard = {
        "title": title,
        "description": description,
        "layout_type": "ordered",
        "template_variables": [{"name": name, "prefix": name, "default": "*"} for name in VARIABLES],
        "widgets": [
            {
                "definition": {
                    "type": "group",
                    "layout_type": "ordered",
                    "title": section.title,
                    "widgets": [{"definition": _widget(panel)} for panel in section.panels if _supported(panel)],
                }
            }
            for section in shown
        ],
    }
    return json.dumps(dashboard, sort_keys=True, indent=2) + "\n"


def _supported(panel: Panel) -> bool:
    """Formulas of Datadog have no current time, so they cannot show an age."""
    return not any(isinstance(target.query, Age) for target in panel.targets)


def _widget(panel: Panel) -> dict[str, Any]:
    queries: list[dict[str, str]] = []
    formulas: list[dict[str, str]] = []
    for target in panel.targets:
        names = []
        for text in _queries(target.query):
            names.append(f"q{len(queries)}")
            queries.append({"data_source": "metrics", "name": names[-1], "query": text})
        formulas.append({"formula": " / ".join(names), "alias": re.sub(r"\s*\{\w+\}", "", target.legend) or panel.title})
    match panel.visualization:
        case Visualization.STAT:
            request: dict[str, Any] = {"response_format": "scalar"}
            queries = [{**query, "aggregator": "last"} for query in queries]
            kind = "query_value"
        case Visualization.TABLE:
            request = {"response_format": "scalar"}
            queries = [{**query, "aggregator": "last"} for query in queries]
            kind = "query_table"
        case _:
            request = {"response_format": "timeseries", "display_type": _DISPLAY_TYPES[panel.visualization]}
            kind = "timeseries"
    return {"type": kind, "title": panel.title, "requests": [{**request, "queries": queries, "formulas": formulas}]}


def _queries(query: Query) -> tuple[str, ...]:
    """One query, or the numerator and the denominator of a ratio."""
    match query:
        case Rate(series):
            # The aggregation "count" returns the number of observations of a distribution.
            aggregation = "count" if series.metric.endswith("_count") else "sum"
            return (f"{aggregation}:{_name(series.metric)}{_scope(series)}.as_rate()",)
        case Sum(series):
            return (f"sum:{_name(series.metric)}{_scope(series)}",)
        case Quantile(series, quantile):
            return (f"p{quantile * 100:g}:{_name(series.metric)}{_scope(series)}",)
        case Mean(series):
            return (f"avg:{_name(series.metric)}{_scope(series)}",)
        case Ratio(numerator, denominator):
            return (*_queries(numerator), *_queries(denominator))
        case Age(_):
            raise ValueError(f"Datadog cannot show {query}")


def _name(metric: str) -> str:
    return metric.removesuffix("_total").removesuffix("_count")


def _scope(series: Series) -> str:
    filters = [
        *(f"${name}" for name in VARIABLES),
        *(f"{label}:{value}" for label, value in series.equal.items()),
        *(f"!{label}:{value}" for label, value in series.not_equal.items()),
    ]
    by = f" by {{{','.join(series.by)}}}" if series.by else ""
    return "{" + ",".join(filters) + "}" + by
