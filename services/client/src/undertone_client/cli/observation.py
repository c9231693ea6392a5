"""How a command is seen: the clients that it makes, and the job that it is."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import click
from undertone_telemetry import logs
from undertone_telemetry.calls import CallMeasure
from undertone_telemetry.client import ClientObserver
from undertone_telemetry.jobs import JobObserver
from undertone_telemetry.metric import Metric
from undertone_telemetry.notice_log import NoticeLog
from undertone_telemetry.settings import TelemetryError, TelemetrySettings
from undertone_telemetry.tracing import is_traced, open_tracing

from undertone_client.cli.exits import CommandError, ExitCode, explain
from undertone_client.client import Client
from undertone_client.errors import UndertoneError
from undertone_client.metrics import measure
from undertone_client.settings import Settings

if TYPE_CHECKING:
    from undertone_telemetry.tracing.tracing import Tracing

SERVICE: Final = "undertone-client"


class Observation:
    """What a job's clients and its progress are told to.

    Attributes:
        job: for the progress.
        metrics_url: where Prometheus' metrics are; None without --metrics-port.
        logged: whether what is said goes to the log, and not to a person.
    """

    def __init__(self, job: JobObserver, tracing: "Tracing | None", host: str, *, logged: bool) -> None:
        port = job.telemetry.metrics_port
        self.job = job
        self.metrics_url = None if port is None else f"http://{host}:{port}/metrics"
        self.logged = logged
        self._tracing = tracing

    def client(self, target: str, settings: Settings) -> Client:
        """A client whose events, calls and attempts are seen."""
        telemetry = self.job.telemetry
        others = traced(self._tracing)
        if telemetry.adapters:
            observer = ClientObserver(telemetry.listener(CallMeasure()))
            others["interceptors"] = [observer, *others.get("interceptors", ())]
            others["listener"] = telemetry.listener(measure)
        return Client(target, settings=settings, **others)


@contextmanager
def tracing(settings: TelemetrySettings) -> Iterator["Tracing | None"]:
    """What makes the spans of a command, and sends them before it ends; None without --trace-sample."""
    opened = open_tracing(settings.otlp_endpoint, settings.trace_sample, service=SERVICE)
    try:
        yield opened
    finally:
        if opened is not None:
            opened.close()


def traced(tracing: "Tracing | None") -> dict[str, Any]:
    """The arguments of a `Client` that makes spans."""
    return {} if tracing is None else {"interceptors": [tracing.attempts()], "around": tracing.call}


@contextmanager
def observed(
    settings: TelemetrySettings, job: str, target: str, *, catalogue: Sequence[Metric] = (), logged: bool | None = None
) -> Iterator[Observation]:
    """A job from its beginning to its end, which SIGTERM brings about, too.

    Args:
        settings: who sees it.
        job: its name.
        target: the service that it asks, for what is said of errors.
        catalogue: what is measured beside the job.
        logged: whether it has a log; by default, where that is JSON. Why a job failed is then said there, and only there.

    Raises:
        CommandError: the metrics' port cannot be opened, or SIGTERM came.
    """
    json = settings.log_format == "json"
    logged = json if logged is None else logged
    if logged:
        logs.configure(settings.log_format, traced=is_traced(settings.trace_sample))
    observer = JobObserver(
        settings,
        job,
        catalogue,
        adapters=[NoticeLog()] if logged else [],
        explain=lambda error: _said(error, target) or type(error).__name__,
    )
    try:
        with tracing(settings) as traces, _terminable(), observer:
            yield Observation(observer, traces, settings.metrics_host, logged=json)
    except TelemetryError as error:
        raise CommandError(str(error), ExitCode.USAGE) from None
    except (UndertoneError, click.ClickException, KeyboardInterrupt) as error:
        if not json:
            raise
        raise SystemExit(_code(error, target)) from None


def _said(error: BaseException, target: str) -> str | None:
    match error:
        case UndertoneError():
            return explain(error, target).message
        case click.ClickException():
            return error.message
        case KeyboardInterrupt():
            return "interrupted"
    return None


def _code(error: BaseException, target: str) -> int:
    match error:
        case UndertoneError():
            return explain(error, target).exit_code
        case click.ClickException():
            return error.exit_code
    return ExitCode.INTERRUPTED


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends what is inside, instead of the process at once: whoever is told of the end hears of it."""
    if threading.current_thread() is not threading.main_thread():  # where Python takes no handlers
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        raise CommandError("terminated", ExitCode.TERMINATED)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
