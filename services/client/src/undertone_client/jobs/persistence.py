"""How much a job asks of its service at once, and how long it asks again: the options, and the settings made of them."""

from dataclasses import dataclass
from typing import Any

import click
from undertone_client.errors import SettingsError
from undertone_client.resilience import BreakerSettings, LimitSettings, RetryPolicy
from undertone_telemetry.options import option_group


@dataclass(frozen=True, slots=True)
class Persistence:
    """The values of the options."""

    limit: LimitSettings
    attempts: int
    patience: float

    def settings(self) -> dict[str, Any]:
        """The fields of `Settings` that they determine."""
        return {
            "limit": self.limit,
            "retry": RetryPolicy(attempts=self.attempts),
            "breaker": BreakerSettings(patience_seconds=self.patience),
        }


def _limit(context: click.Context, option: click.Parameter, value: str) -> LimitSettings:
    try:
        return LimitSettings.parse(value)
    except SettingsError as error:
        raise click.BadParameter(str(error)) from None


persistence_options = option_group(
    "persistence",
    Persistence,
    click.option(
        "--limit",
        envvar="UNDERTONE_LIMIT",
        callback=_limit,
        default="adaptive",
        show_default=True,
        metavar="adaptive|N",
        help="Calls at once (in Spark, of each Python worker): as many as the service bears, or always N.",
    ),
    click.option(
        "--attempts",
        type=click.IntRange(min=1),
        default=RetryPolicy().attempts,
        show_default=True,
        help="Attempts of a call, at most; those while the service is down or full do not count.",
    ),
    click.option(
        "--patience",
        type=click.FloatRange(min=0),
        default=BreakerSettings().patience_seconds,
        show_default=True,
        metavar="SECONDS",
        help="How long a service that has gone, or is full, is waited for.",
    ),
)
"""Adds `persistence` to a command's arguments."""
