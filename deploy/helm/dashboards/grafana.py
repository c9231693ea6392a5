"""The dashboard of Grafana, built with the Grafana Foundation SDK."""

import json
from typing import Final

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from .model import Panel, Section, Source, Target, Unit, Visualization
from .promql import promql

_UNITS: Final = {
    Unit.COUNT: "short",
    Unit.PER_SECOND: "cps",
    Unit.SECONDS: "s",
    Unit.RATIO: "percentunit",
    Unit.BYTES: "bytes",
    Unit.MILLISECONDS: "ms",
    Unit.MICROSECONDS: "µs",
}
_WIDTH: Final = 8
"""The width of a panel. A row has 24 columns."""
_HEIGHT: Final = 7

AnyPanel = timeseries.Panel | stat.Panel | table.Panel


def grafana(title: str, description: str, sections: tuple[Section, ...]) -> str:
    """The JSON of the dashboard."""
    dashboard = (
        builders.Dashboard(title)
        .uid("undertone")
        .description(description)
        .tags(["undertone"])
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .time("now-1h", "now")
        .refresh("30s")
        .timezone("browser")
        .with_variable(builders.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(
            builders.QueryVariable("namespace")
            .label("Namespace")
            .datasource(_datasource())
            .query("label_values(undertone_ready, namespace)")
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(multi=True)
            .include_all(include_all=True)
            .all_value(".+")
        )
    )
    for section in sections:
        dashboard = dashboard.with_row(builders.Row(section.title))
        for panel in section.panels:
            dashboard = dashboard.with_panel(_panel(panel, section.source))
    return json.dumps(dashboard.build(), cls=JSONEncoder, sort_keys=True, indent=2) + "\n"


def _panel(panel: Panel, source: Source) -> AnyPanel:
    built = _new_panel(panel.visualization).title(panel.title).description(panel.description).datasource(_datasource())
    built = built.unit(_UNITS[panel.unit]).height(_HEIGHT).span(_WIDTH)
    if panel.unit is Unit.RATIO:
        built = built.min(0)
    for number, target in enumerate(panel.targets):
        built = built.with_target(
            _target(target, source, chr(ord("A") + number), table=panel.visualization is Visualization.TABLE)
        )
    return built


def _new_panel(visualization: Visualization) -> AnyPanel:
    match visualization:
        case Visualization.STAT:
            return stat.Panel().reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        case Visualization.TABLE:
            return table.Panel()
    panel = timeseries.Panel().line_width(1).fill_opacity(10).show_points(common.VisibilityMode.NEVER)
    panel = panel.legend(
        common_builders.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
    )
    if visualization is Visualization.STACK:
        panel = panel.fill_opacity(40).stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
    return panel


def _target(target: Target, source: Source, name: str, *, table: bool) -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(promql(target.query, source)).ref_id(name).datasource(_datasource())
    query = query.legend_format(target.legend.replace("{", "{{").replace("}", "}}"))
    return query.instant().format(PromQueryFormat.TABLE) if table else query


def _datasource() -> models.DataSourceRef:
    return models.DataSourceRef(type_val="prometheus", uid="${datasource}")
