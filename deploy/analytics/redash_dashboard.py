"""The dashboard of Redash, for `redash_import.py`: Redash itself cannot import a file."""

import json
from typing import Any

from .charts import CHARTS, Chart, Kind

_COLUMNS = 6
_WIDTH, _HEIGHT = 3, 8


def redash(title: str, description: str) -> str:
    """The JSON of the dashboard: queries, each with a visualization and its place."""
    return (
        json.dumps(
            {
                "name": title,
                "description": description,
                "tags": ["undertone"],
                "queries": [_query(chart, number) for number, chart in enumerate(CHARTS)],
            },
            indent=2,
        )
        + "\n"
    )


def _query(chart: Chart, number: int) -> dict[str, Any]:
    place = {
        "col": number % (_COLUMNS // _WIDTH) * _WIDTH,
        "row": number // (_COLUMNS // _WIDTH) * _HEIGHT,
        "sizeX": _WIDTH,
        "sizeY": _HEIGHT,
        "autoHeight": False,
    }
    return {
        "name": f"Undertone: {chart.title}",
        "description": chart.description,
        "query": chart.query,
        "visualization": _visualization(chart),
        "position": place,
    }


def _visualization(chart: Chart) -> dict[str, Any]:
    if chart.kind is Kind.TABLE:
        return {"type": "TABLE", "name": chart.title, "options": {}}
    mapping = {chart.x: "x", chart.y: "y"} | ({chart.series: "series"} if chart.series else {})
    options = {
        "globalSeriesType": chart.kind.value,
        "columnMapping": mapping,
        "legend": {"enabled": True},
        "series": {"stacking": "stack" if chart.kind is Kind.COLUMN else None},
        "xAxis": {"type": "-", "labels": {"enabled": True}},
        "yAxis": [{"type": "linear"}],
        "sortX": True,
    }
    return {"type": "CHART", "name": chart.title, "options": options}
