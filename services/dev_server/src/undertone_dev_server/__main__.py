"""The command `undertone-dev-server`."""

import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence

import click
from undertone_telemetry.standard_error import silent_standard_error
from undertone_telemetry.standard_output import checked_standard_output

from undertone_dev_server.errors import SettingsError, StartError
from undertone_dev_server.settings import PROGRAM, Settings, parse, recommended_environment

START_FAILED = 255
"""TF Serving's exit code if it cannot start, -1 of a byte."""
TENSORFLOW_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until a signal kills the process. Returns 2 for invalid settings and 255 if no version
    of the model can be loaded.

    No signal has a handler, as in TF Serving: SIGTERM and SIGINT end the process at once, but as
    process 1 of a container it ignores both.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        with checked_standard_output(PROGRAM):
            settings = parse(sys.argv[1:] if arguments is None else arguments)
        _serve(settings)
    except click.exceptions.Exit as exit_request:
        return exit_request.exit_code
    except (SettingsError, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        print(f"{PROGRAM}: {message}", file=sys.stderr)
        return 2
    except StartError as error:
        print(f"{PROGRAM}: failed to start: {error}", file=sys.stderr)
        return START_FAILED
    return 0


def _serve(settings: Settings) -> None:
    log = logging.getLogger("undertone_dev_server")
    log.info("starting TensorFlow")
    # TensorFlow reads its variables once, when it is imported.
    for name, value in recommended_environment().items():
        os.environ.setdefault(name, value)
    with _quiet_tensorflow(), _without_keras(), _without_garbage_collection():
        # The import takes seconds. --help and invalid options do not need it.
        from undertone_dev_server.metrics import Metrics
        from undertone_dev_server.saved_model import SavedModelLoader
        from undertone_dev_server.server import DevelopmentServer
    metrics = Metrics()
    load = SavedModelLoader(settings.tensorflow_intra_op_parallelism, settings.tensorflow_inter_op_parallelism, metrics)
    DevelopmentServer(settings, load, metrics).start()
    signal.pause()


@contextlib.contextmanager
def _without_keras() -> Iterator[None]:
    """Makes the first import of TensorFlow faster: 3 s of CPU time instead of 5 s.

    TensorFlow imports Keras for optimizers in saved models, unless that import fails. The server
    runs graphs, which need none.
    """
    if "keras" in sys.modules:
        yield
        return
    sys.modules["keras"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["keras"]


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Makes the import of TensorFlow faster: 2.0 s of CPU time instead of 2.4 s.

    The import creates many objects that live to the end, which later collections leave out.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


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
    with silent_standard_error():
        yield


if __name__ == "__main__":
    sys.exit(main())
