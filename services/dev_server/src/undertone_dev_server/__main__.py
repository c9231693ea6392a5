"""The command `undertone-dev-server`."""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from undertone_dev_server.errors import SettingsError
from undertone_dev_server.settings import PROGRAM, Settings, parse, recommended_environment

SHUTDOWN_GRACE_SECONDS = 5.0
TENSORFLOW_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT and returns 0. Returns 2 for invalid settings.

    While TensorFlow is being imported, a signal ends the process at once.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        _serve(parse(sys.argv[1:] if arguments is None else arguments))
    except click.exceptions.Exit as exit_request:
        return exit_request.exit_code
    except (SettingsError, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        print(f"{PROGRAM}: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _serve(settings: Settings) -> None:
    log = logging.getLogger("undertone_dev_server")
    log.info("starting TensorFlow")
    # TensorFlow reads its variables once, when it is imported.
    for name, value in recommended_environment().items():
        os.environ.setdefault(name, value)
    with _quiet_tensorflow():
        # The import takes seconds. --help and invalid options do not need it.
        from undertone_dev_server.saved_model import SavedModelLoader
        from undertone_dev_server.server import DevelopmentServer
    stop_requested = _handle_stop_signals()
    load = SavedModelLoader(settings.tensorflow_intra_op_parallelism, settings.tensorflow_inter_op_parallelism)
    server = DevelopmentServer(settings, load)
    server.start()
    stop_requested.wait()
    log.info("stopping: running calls have %.0f s to finish", SHUTDOWN_GRACE_SECONDS)
    server.stop(SHUTDOWN_GRACE_SECONDS)
    log.info("stopped")


def _handle_stop_signals() -> threading.Event:
    """Returns an event that SIGTERM and SIGINT set. A second signal ends the process at once."""
    stop_requested = threading.Event()

    def stop(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop_requested.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return stop_requested


@contextlib.contextmanager
def _quiet_tensorflow() -> Iterator[None]:
    """Suppresses TensorFlow's messages on standard error while it is imported, unless
    TF_CPP_MIN_LOG_LEVEL is set.

    TensorFlow writes some messages before it reads that variable, so the file descriptor is
    redirected.
    """
    if TENSORFLOW_LOG_LEVEL in os.environ:
        yield
        return
    os.environ[TENSORFLOW_LOG_LEVEL] = "2"
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    stderr_copy = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as devnull:
            os.dup2(devnull.fileno(), 2)
        yield
    finally:
        os.dup2(stderr_copy, 2)
        os.close(stderr_copy)


if __name__ == "__main__":
    sys.exit(main())
