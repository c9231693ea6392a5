"""Types of the options of undertone-plan."""

from typing import Any

import click

from undertone_planner.plan.quantities import parse_duration


class Duration(click.ParamType[float]):
    """Seconds from text such as 96h, 4d or 1h30m."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)
