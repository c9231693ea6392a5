"""`undertone-dev-server`: TF Serving's API over SavedModels on disk."""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from undertone_dev_server import environment, flags
from undertone_dev_server.errors import SettingsError
from undertone_dev_server.settings import Settings

SHUTDOWN_GRACE_SECONDS = 5.0
TENSORFLOW_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT, then returns 0; returns 2 for settings that cannot work.

    While TensorFlow starts there is nothing to end in order, and a signal ends the process at once.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = flags.read(sys.argv[1:] if arguments is None else arguments, os.environ)
        _serve(settings)
    except SettingsError as error:
        print(f"undertone-dev-server: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _serve(settings: Settings) -> None:
    log = logging.getLogger("undertone_dev_server")
    log.info("starting TensorFlow")
    for name, value in environment.recommended().items():
        os.environ.setdefault(name, value)
    with _quiet_tensorflow():
        # Imported here so that --help and a mistyped flag answer at once.
        from undertone_dev_server.saved_model import SavedModelLoader
        from undertone_dev_server.server import ModelServer
    stopping = _stop_signals()
    load = SavedModelLoader(settings.tensorflow_intra_op_parallelism, settings.tensorflow_inter_op_parallelism)
    server = ModelServer(settings, load)
    server.start()
    stopping.wait()
    log.info("stopping: calls that run have %.0f s to end", SHUTDOWN_GRACE_SECONDS)
    server.stop(SHUTDOWN_GRACE_SECONDS)
    log.info("stopped")


def _stop_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set. A second signal ends the process at once."""
    stopping = threading.Event()

    def stop(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return stopping


@contextlib.contextmanager
def _quiet_tensorflow() -> Iterator[None]:
    """Keeps TensorFlow's own messages off standard error, unless TF_CPP_MIN_LOG_LEVEL asks for them.

    Some come before TensorFlow reads that variable, so they can only be caught at the file descriptor.
    """
    if TENSORFLOW_LOG_LEVEL in os.environ:
        yield
        return
    os.environ[TENSORFLOW_LOG_LEVEL] = "2"
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


if __name__ == "__main__":
    sys.exit(main())
