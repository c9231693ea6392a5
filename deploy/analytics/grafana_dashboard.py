"""The dashboard of Grafana, for the data source plugin of Amazon Athena."""

import json
from typing import Any

from .charts import CHARTS, Chart, Kind

_WIDTH, _HEIGHT = 12, 9
_SOURCE = {"type": "grafana-athena-datasource", "uid": "${datasource}"}
_PANELS = {Kind.LINE: "trend", Kind.COLUMN: "barchart", Kind.TABLE: "table"}
_TABLE = 1
"""The plugin's number of the format "table"."""


def grafana(title: str, description: str) -> str:
    """The JSON of the dashboard."""
    dashboard = {
        "uid": "undertone-emotions",
        "title": title,
        "description": description,
        "tags": ["undertone"],
        "schemaVersion": 39,
        "editable": True,
        "time": {"from": "now-30d", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "label": "Data source", "type": "datasource", "query": _SOURCE["type"]}],
        },
        "panels": [_panel(chart, number) for number, chart in enumerate(CHARTS)],
    }
    return json.dumps(dashboard, indent=2) + "\n"


def _panel(chart: Chart, number: int) -> dict[str, Any]:
    time = chart.kind is Kind.LINE and chart.x == "day"
    panel: dict[str, Any] = {
        "id": number + 1,
        "title": chart.title,
        "description": chart.description,
        "type": "timeseries" if time else _PANELS[chart.kind],
        "datasource": _SOURCE,
        "gridPos": {"x": number % 2 * _WIDTH, "y": number // 2 * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "targets": [{"refId": "A", "datasource": _SOURCE, "rawSQL": _sql(chart, time=time), "format": _TABLE}],
        "fieldConfig": {"defaults": {}, "overrides": []},
        "options": {"xField": chart.x} if chart.x and not time else {},
        "transformations": [],
    }
    if chart.series and time:
        # Grafana splits a table with a text column into one line for each text.
        panel["transformations"] = [{"id": "prepareTimeSeries", "options": {"format": "multi"}}]
    elif chart.series:
        pivot = {"columnField": chart.series, "rowField": chart.x, "valueField": chart.y}
        panel["transformations"] = [{"id": "groupingToMatrix", "options": pivot}]
        panel["options"]["xField"] = f"{chart.x}\\{chart.series}"  # the name that the matrix gives to its first column
    if chart.kind is Kind.COLUMN:
        panel["options"] |= {"stacking": "normal", "orientation": "horizontal"}
    return panel


def _sql(chart: Chart, *, time: bool) -> str:
    if not time:
        return chart.query
    return f"SELECT CAST(day AS TIMESTAMP) AS time, {chart.series}, {chart.y}\nFROM (\n{chart.query}\n) AS days\nORDER BY 1"
