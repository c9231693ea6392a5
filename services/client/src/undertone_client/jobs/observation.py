"""How a command is seen: the clients that it makes, and the job that it is."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import click
from undertone_client.client import Client
from undertone_client.errors import UndertoneError
from undertone_client.jobs.exits import CommandError, ExitCode, explain
from undertone_client.settings import Settings
from undertone_client.telemetry import observers
from undertone_telemetry import logs
from undertone_telemetry.jobs import JobObserver
from undertone_telemetry.metric import Metric
from undertone_telemetry.notice_log import NoticeLog
from undertone_telemetry.settings import TelemetryError, TelemetrySettings


class Terminated(BaseException):
    """SIGTERM came. No Exception, as those are what others expect of their own doings, and turn into theirs."""


class Observation:
    """What a job's clients and its progress are told to.

    Attributes:
        job: for the progress.
        metrics_url: where Prometheus' metrics are; None without --metrics-port.
        logged: whether what is said goes to the log, and not to a person.
    """

    def __init__(self, job: JobObserver, host: str, *, logged: bool) -> None:
        port = job.telemetry.metrics_port
        self.job = job
        self.metrics_url = None if port is None else f"http://{host}:{port}/metrics"
        self.logged = logged

    def client(self, target: str, settings: Settings) -> Client:
        """A client that is seen."""
        return Client(target, settings=settings, **observers(self.job.telemetry, target))


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
        logs.configure(settings.log_format, traced=settings.traced)
    observer = JobObserver(
        settings,
        job,
        catalogue,
        adapters=[NoticeLog()] if logged else [],
        explain=lambda error: _told(error, target).message,
    )
    try:
        with _terminable(), observer:
            yield Observation(observer, settings.metrics_host, logged=json)
    except TelemetryError as error:
        raise CommandError(str(error), ExitCode.USAGE) from None
    except (UndertoneError, click.ClickException, KeyboardInterrupt, Terminated) as error:
        told = _told(error, target)
        raise SystemExit(told.exit_code) if json else told from None


def _told(error: BaseException, target: str) -> click.ClickException:
    """What a person is told of what ended a command."""
    match error:
        case UndertoneError():
            return explain(error, target)
        case click.ClickException():
            return error
        case KeyboardInterrupt():
            return CommandError("interrupted", ExitCode.INTERRUPTED)
        case Terminated():
            return CommandError("terminated", ExitCode.TERMINATED)
    return CommandError(type(error).__name__, ExitCode.FAILED)  # its message might quote anything


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends what is inside, instead of the process at once: whoever is told of the end hears of it."""
    if threading.current_thread() is not threading.main_thread():  # where Python takes no handlers
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated("terminated")

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
