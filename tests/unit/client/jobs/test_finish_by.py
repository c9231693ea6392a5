"""The option --finish-by."""

from datetime import UTC, datetime, time, timedelta, timezone
from time import tzset

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from undertone_client.jobs import finish_by_option
from undertone_client.jobs.finish_by import parse_finish_by

NOW = datetime(2026, 11, 29, 22, 30, 15, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8h", "2026-11-30T06:30:15+01:00"),
        ("1d2h3m4s", "2026-12-01T00:33:19+01:00"),
        ("90m", "2026-11-30T00:00:15+01:00"),
        ("06:00", "2026-11-30T06:00:00+01:00"),
        ("23:45", "2026-11-29T23:45:00+01:00"),
        ("22:30", "2026-11-30T22:30:00+01:00"),  # has passed by 15 seconds
        ("2026-11-30T06:00Z", "2026-11-30T06:00:00+00:00"),
        ("2026-11-30T06:00:00-05:00", "2026-11-30T06:00:00-05:00"),
    ],
)
def test_the_forms(text: str, expected: str) -> None:
    assert parse_finish_by(text, NOW) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a time: use a duration"),
        ("8", "'8' is not a time: use a duration"),
        ("24:00", "'24:00' is not a time"),
        ("tomorrow", "'tomorrow' is not a time"),
        ("0h", "'0h' is not after the current time"),
        ("9999999999d", "'9999999999d' is too long"),
        ("2026-11-30T06:00", "'2026-11-30T06:00' has no time zone: add one, such as Z"),
        ("2026-11-29T20:00Z", "'2026-11-29T20:00Z' has passed: it is 2026-11-29T22:30:15+01:00. Use a later time"),
    ],
)
def test_errors_say_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is compared below
        parse_finish_by(text, NOW)
    assert str(raised.value).startswith(message)


@given(st.integers(0, 30), st.integers(0, 50), st.integers(0, 99), st.integers(1, 99))
def test_durations_add_up(days: int, hours: int, minutes: int, seconds: int) -> None:
    end = parse_finish_by(f"{days}d{hours}h{minutes}m{seconds}s", NOW)
    assert end - NOW == timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


@given(
    st.datetimes(timezones=st.just(UTC), min_value=datetime.min.replace(year=2000), max_value=datetime.min.replace(year=2100)),
    st.times(),
)
def test_a_time_of_day_is_the_next_one(now: datetime, of_day: time) -> None:
    end = parse_finish_by(f"{of_day:%H:%M}", now)
    assert now < end <= now + timedelta(days=1)
    assert f"{end:%H:%M:%S}" == f"{of_day:%H:%M}:00"


@pytest.mark.parametrize(
    ("now", "text", "expected"),
    [
        ("2026-03-28T20:00", "06:00", "2026-03-29T06:00:00+02:00"),  # the night has 9 hours
        ("2026-10-24T20:00", "06:00", "2026-10-25T06:00:00+01:00"),  # and this one 11
        ("2026-03-28T20:00", "12h", "2026-03-29T09:00:00+02:00"),
        ("2026-10-25T01:00", "02:30", "2026-10-25T02:30:00+02:00"),  # the first of two
    ],
)
def test_a_time_of_day_after_a_change_of_the_clocks(
    monkeypatch: pytest.MonkeyPatch, now: str, text: str, expected: str
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    tzset()
    try:
        assert parse_finish_by(text, datetime.fromisoformat(now)) == datetime.fromisoformat(expected)
    finally:
        monkeypatch.undo()
        tzset()


def test_the_option_gives_seconds_since_1970_and_its_errors_are_usage_errors() -> None:
    @click.command()
    @finish_by_option(lambda: NOW)
    def show(finish_by: float | None) -> None:
        click.echo(str(finish_by))

    assert CliRunner().invoke(show, []).output == "None\n"
    assert CliRunner().invoke(show, ["--finish-by", "06:00"]).output == "1796014800.0\n"
    assert CliRunner().invoke(show, [], env={"UNDERTONE_FINISH_BY": "06:00"}).output == "1796014800.0\n"
    wrong = CliRunner().invoke(show, ["--finish-by", "2026-11-29T20:00Z"])
    assert (wrong.exit_code, "has passed" in wrong.output) == (2, True)
