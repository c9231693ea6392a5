"""A running job: its clients, its telemetry and its signals."""

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import click
from undertone_telemetry import Metric, TelemetryError, TelemetrySettings, logs
from undertone_telemetry.jobs import JobReporter
from undertone_telemetry.logs import LogAdapter

from undertone_client.client import Client
from undertone_client.errors import UndertoneError
from undertone_client.jobs.errors import Terminated
from undertone_client.jobs.exits import CommandError, ExitCode, command_error
from undertone_client.settings import Settings
from undertone_client.telemetry import client_hooks

T = TypeVar("T")


class SignalHandler:
    """The one handler of SIGINT and SIGTERM in a job.

    A signal raises KeyboardInterrupt or Terminated in blocking code. It cancels a coroutine under
    `run`, which can then save its work, and the exception follows once the coroutine has ended. A
    second signal raises at once.
    """

    def __init__(self) -> None:
        self._cancel: Callable[[], object] | None = None
        self._received: int | None = None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals inside this context. Python allows that in the main thread only."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end. A signal cancels it.

        Raises:
            KeyboardInterrupt: SIGINT cancelled it.
            Terminated: SIGTERM cancelled it.
        """

        async def cancellable() -> T:
            task, loop = asyncio.current_task(), asyncio.get_running_loop()
            assert task is not None  # noqa: S101 - a coroutine runs in a task
            # The call wakes up a loop that waits for input or output.
            self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
            try:
                return await work
            finally:
                self._cancel = None  # the loop closes next, and a closed loop accepts no calls

        try:
            return asyncio.run(cancellable())
        except asyncio.CancelledError:
            if self._received is None:
                raise
            raise _exception(self._received) from None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._cancel is None or self._received is not None:
            raise _exception(number)
        self._received = number
        self._cancel()


def _exception(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated()


class JobSession:
    """A running job.

    Attributes:
        reporter: receives the job's progress, and failures that are not exceptions.
        target: address of the service.
        metrics_url: URL of the Prometheus metrics; None without --metrics-port.
        log_messages: whether messages go to the log instead of the terminal.
    """

    def __init__(self, reporter: JobReporter, target: str, host: str, signals: SignalHandler, *, log_messages: bool) -> None:
        port = reporter.telemetry.metrics_port
        self.reporter = reporter
        self.target = target
        self.metrics_url = None if port is None else f"http://{host}:{port}/metrics"
        self.log_messages = log_messages
        self._signals = signals

    def client(self, settings: Settings) -> Client:
        """A new client of the target. The job's telemetry records its calls."""
        return Client(self.target, settings=settings, **client_hooks(self.reporter.telemetry, self.target))

    def run_until_signalled(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end. SIGINT or SIGTERM cancels it.

        Raises:
            KeyboardInterrupt: SIGINT cancelled it.
            Terminated: SIGTERM cancelled it.
        """
        return self._signals.run(work)


@contextmanager
def job_session(
    settings: TelemetrySettings,
    job: str,
    target: str,
    *,
    catalogue: Sequence[Metric] = (),
    use_log: bool | None = None,
    finish_by: float | None = None,
) -> Iterator[JobSession]:
    """Run a job, and report its start and its success or failure to the telemetry.

    Args:
        settings: the telemetry.
        job: name of the job.
        target: address of the service.
        catalogue: metrics of the job, in addition to those that every job has.
        use_log: whether to configure the log and report the job's start and end in it. By default
            only with --log-format json.
        finish_by: when the job must end, in seconds since 1970; None if it has no such time.

    Raises:
        CommandError: a signal or an UndertoneError ended the job, or the metrics port cannot be
            opened.
    """
    is_json = settings.log_format == "json"
    use_log = is_json if use_log is None else use_log
    if use_log:
        logs.configure(settings.log_format, traced=settings.traced)
    reporter = JobReporter(
        settings,
        job,
        catalogue,
        adapters=[LogAdapter()] if use_log else [],
        explain=lambda error: command_error(error, target).message,
        finish_by=finish_by,
    )
    signals = SignalHandler()
    try:
        with signals.installed(), reporter:
            yield JobSession(reporter, target, settings.metrics_host, signals, log_messages=is_json)
    except TelemetryError as error:
        raise CommandError(str(error), ExitCode.USAGE) from None
    except (UndertoneError, click.ClickException, KeyboardInterrupt, Terminated) as error:
        explained = command_error(error, target)
        raise SystemExit(explained.exit_code) if is_json else explained from None
