"""The command `undertone-pod`."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, NoReturn

import click
from undertone_telemetry.options import IntegerRange, PortOrOff
from undertone_telemetry.standard_output import checked_standard_output

from undertone_dev_server.folders import GRAPH_FILE, find_versions
from undertone_dev_server.pod import Pod, PodError, run
from undertone_dev_server.settings import CONTEXT_SETTINGS, option

PROGRAM: Final = "undertone-pod"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the pod and returns the exit code; see the help text."""
    try:
        with checked_standard_output(PROGRAM):
            code: int = _command.main(
                sys.argv[1:] if arguments is None else arguments, prog_name=PROGRAM, standalone_mode=False
            )
    except click.ClickException as error:
        print(f"{PROGRAM}: {error.format_message()}", file=sys.stderr)
        return 2
    except (PodError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, click.Abort):  # click raises Abort for KeyboardInterrupt
        return 130
    return code


def _model_folder(_context: click.Context, _parameter: click.Parameter, folder: Path) -> Path:
    if not folder.is_dir():
        raise click.BadParameter(f"the folder {folder} does not exist; create it with `undertone-model export build/models`")
    if _has_version(folder):
        return folder
    models = sorted(str(path) for path in folder.iterdir() if path.is_dir() and _has_version(path))
    raise click.BadParameter(
        f"{folder} contains no version of a model, such as {folder}/1/{GRAPH_FILE}; use the folder of one model"
        + (f", such as {models[0]}" if models else "")
    )


def _has_version(folder: Path) -> bool:
    return any((version / GRAPH_FILE).is_file() for version in find_versions(folder).values())


def _open_log(path: Path) -> IO[bytes]:
    try:
        return path.open("wb")
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be written: {error.strerror}", param_hint="'--log_file'") from None


def _program(_context: click.Context, _parameter: click.Parameter, command: tuple[str, ...]) -> tuple[str, ...]:
    if command and shutil.which(command[0]) is None:
        raise click.BadParameter(f"the program {command[0]} is not on the PATH")
    return command


@click.command(
    PROGRAM,
    context_settings=CONTEXT_SETTINGS,
    epilog="""\b
Examples:
  undertone-pod --model_base_path build/models/emotions
  undertone-pod --model_base_path build/models/emotions -- undertone classify "At last, home!"

\b
Exit codes:
  0    success, or the exit code of COMMAND
  1    a process of the pod ended, or the pod was not ready in time
  2    invalid options or COMMAND""",
)
@click.version_option(package_name="undertone-dev-server", prog_name=PROGRAM)
@option(
    "model_base_path",
    metavar="DIR",
    type=click.Path(path_type=Path),
    required=True,
    callback=_model_folder,
    help="Folder of the model. It contains the version folders.",
)
@option(
    "port",
    metavar="PORT",
    type=IntegerRange(0, 65535),
    default=50051,
    show_default=True,
    help="Port of the sidecar on localhost. 0 chooses a free one.",
)
@option(
    "http_port",
    metavar="PORT",
    type=PortOrOff(),
    default="8080",
    show_default=True,
    help="Port of the sidecar's JSON API over HTTP on localhost. 0 chooses a free one, off opens none.",
)
@option(
    "playground",
    metavar="[true|false]",
    type=click.BOOL,
    default="true",
    is_flag=False,
    flag_value="true",
    help="Serve a page for browsers at / of --http_port.",
)
@option(
    "ready_timeout_seconds",
    metavar="SECONDS",
    type=float,
    default=120.0,
    show_default=True,
    help="Maximum time until the pod is ready.",
)
@option(
    "log_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Log file of the processes. Default: standard error.",
)
@click.argument("command", metavar="[-- COMMAND...]", nargs=-1, type=click.UNPROCESSED, callback=_program)
def _command(
    *,
    model_base_path: Path,
    port: int,
    http_port: int | None,
    playground: bool,
    ready_timeout_seconds: float,
    log_file: Path | None,
    command: Sequence[str],
) -> int:
    """Run a pod on this machine, without containers.

    The pod consists of two processes: the development server undertone-dev-server, in place of TF
    Serving, and the sidecar undertone-sidecar. The processes communicate over a Unix socket.

    When the pod is ready, COMMAND runs with the address of the sidecar in UNDERTONE_TARGET, and the
    URL of the JSON API in UNDERTONE_HTTP_URL. The pod stops when COMMAND ends. Without COMMAND, the
    pod runs until Ctrl-C.
    """
    signal.signal(signal.SIGTERM, _exit_on_signal)
    # A shell starts a background process with SIGINT ignored. The pod must stop on SIGINT all the
    # same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(_open_log(log_file)) if log_file else None
        print(f"starting the pod{f' (log: {log_file})' if log else ''}", file=sys.stderr)
        running = run(model_base_path.resolve(), port, ready_timeout_seconds, log, http_port=http_port, playground=playground)
        pod = stack.enter_context(running)
        addresses = " and ".join(filter(None, [pod.target, pod.http_url]))
        print(f"ready on {addresses}{'' if command else '; Ctrl-C stops'}", file=sys.stderr)
        if playground and pod.http_url:
            print(f"playground: {pod.http_url}/", file=sys.stderr)
        return _run_command(command, pod) if command else pod.wait()


def _exit_on_signal(_number: int, _frame: object) -> NoReturn:
    """Turns SIGTERM into an exception, so that the processes are stopped."""
    raise SystemExit(143)


def _run_command(command: Sequence[str], pod: Pod) -> int:
    addresses = {"UNDERTONE_TARGET": pod.target}
    if pod.http_url:
        addresses["UNDERTONE_HTTP_URL"] = pod.http_url
    process = subprocess.Popen(command, env={**os.environ, **addresses})
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the terminal sends SIGINT to the command too, which then ends by itself
        except SystemExit:
            process.terminate()
            process.wait()
            raise


if __name__ == "__main__":
    sys.exit(main())
