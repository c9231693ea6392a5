"""The option --finish-by: the time by which a job must end."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click
from undertone_telemetry.options import Decorator

FORMS: Final = 'a duration ("8h", "1h30m"), a time of day ("06:00"), or a date and time with a zone ("2026-12-01T06:00+01:00")'
"""The accepted forms, for help and errors."""

_DURATION: Final = re.compile(r"(?=\d)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_TIME_OF_DAY: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def parse_finish_by(text: str, now: datetime) -> datetime:
    """The time that the text means.

    Args:
        text: A duration from now, with the units d, h, m and s; a time of day in the zone of `now`,
            today or, if it has passed, tomorrow; or a date and time in ISO 8601 with a zone.
        now: The current time. Without a zone, it is in the zone of the system.

    Raises:
        ValueError: the text has none of these forms, or the time is not after `now`.
    """
    if duration := _DURATION.fullmatch(text):
        days, hours, minutes, seconds = (int(part or 0) for part in duration.groups())
        try:
            # In UTC, because a day with a change to summer time has 23 hours.
            time = _with_zone(now).astimezone(UTC) + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        except OverflowError:
            raise ValueError(f"{text!r} is too long: use a shorter duration, such as 8h") from None
        if time <= _with_zone(now):
            raise ValueError(f"{text!r} is not after the current time: use a longer duration, such as 8h")
        return time
    if _TIME_OF_DAY.fullmatch(text):
        hour, minute = map(int, text.split(":"))
        wall = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        time = _with_zone(wall)
        # The offset of the zone may be another one tomorrow.
        return time if time > _with_zone(now) else _with_zone(wall + timedelta(days=1))
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time: use {FORMS}") from None
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: add one, such as Z for UTC or +01:00")
    if time <= _with_zone(now):
        raise ValueError(f"{text!r} has passed: it is {_with_zone(now).isoformat(timespec='seconds')}. Use a later time")
    return time


def _with_zone(time: datetime) -> datetime:
    """The time, in the zone of the system if it has none."""
    return time if time.tzinfo is not None else time.astimezone()


def finish_by_option(now: Callable[[], datetime] = datetime.now) -> Decorator[Any]:
    """Adds the argument `finish_by` to a command: seconds since 1970, or None."""

    def convert(context: click.Context, option: click.Parameter, value: str | None) -> float | None:
        if value is None:
            return None
        try:
            return parse_finish_by(value.strip(), now()).timestamp()
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return click.option(
        "--finish-by",
        envvar="UNDERTONE_FINISH_BY",
        show_envvar=True,
        callback=convert,
        metavar="TIME",
        help=f"When the job must end: {FORMS}. A time of day is local time. The job exports the time as a metric, from "
        "which the autoscaler computes the number of pods. The job warns if it will be late; it does not stop.",
    )
