"""`undertone-pod`: the two processes of the pod on one machine, joined by a Unix socket, for trials, demos and tests.

The model server starts first and stops last, as in the pod: the sidecar drains while it still has somebody to ask.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NoReturn

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from undertone_dev_server import environment, folders

DESCRIPTION = """\
Runs the pod on this machine without containers: a model server (undertone-dev-server, which
stands in for TF Serving) and the sidecar (undertone-sidecar), joined by a Unix socket.

With a COMMAND after --, runs it once the pod is ready, with UNDERTONE_TARGET set to the
sidecar's address, and ends with the command's exit code. Without one, runs until Ctrl-C."""

EXAMPLES = """\
examples:
  undertone-pod --model_base_path build/models/emotions
  undertone-pod --model_base_path build/models/emotions -- undertone classify "At last, home!"

exit codes:
  0 or that of COMMAND   all is well      1  a process of the pod ended, or the pod was not ready in time
  2  flags or COMMAND wrong"""


_PLANNING = ("--batching=", "--model-calls=", "--tokenizer-threads=", "--auto")
"""Flags of the sidecar that thread counts depend on."""


class PodError(Exception):
    """The pod cannot run; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the pod; see the module."""
    given = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    base_path: Path = given.model_base_path
    if not base_path.is_dir():
        print(f"undertone-pod: {base_path} is no folder; `undertone-model export build/models` makes one", file=sys.stderr)
        return 2
    if not folders.scan(base_path):
        print(
            f"undertone-pod: {base_path} holds no version of a model, such as {base_path}/1/{folders.GRAPH_FILE};"
            f" name the folder of one model{_models_in(base_path)}",
            file=sys.stderr,
        )
        return 2
    if given.command and shutil.which(given.command[0]) is None:
        print(f"undertone-pod: {given.command[0]} is no program that can be found", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _terminate)
    # A shell starts what it puts into the background with SIGINT ignored; asked to stop, a pod should stop.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(given.log_file.open("wb")) if given.log_file else None
            print(f"starting the pod{f' (log: {given.log_file})' if log else ''}", file=sys.stderr)
            pod = stack.enter_context(run(base_path.resolve(), given.port, given.ready_timeout_seconds, log))
            print(f"ready on {pod.target}{'' if given.command else '; Ctrl-C stops'}", file=sys.stderr)
            return _command(given.command, pod) if given.command else pod.wait()
    except (PodError, OSError) as error:
        print(f"undertone-pod: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _models_in(folder: Path) -> str:
    found = sorted(str(path) for path in folder.iterdir() if path.is_dir() and folders.scan(path))
    return f", such as {found[0]}" if found else ""


def _port(value: str) -> int:
    if not (value.isdecimal() and 1 <= int(value) <= 65535):
        raise argparse.ArgumentTypeError(f"{value!r} is no port; give one from 1 to 65535")
    return int(value)


def _terminate(_number: int, _frame: object) -> NoReturn:
    """Makes SIGTERM an exception, so that the processes are stopped on the way out."""
    raise SystemExit(143)


class Pod:
    """The running `processes` by name; `target` is the sidecar's gRPC address, `model_server` the model server's."""

    def __init__(self, target: str, model_server: str, processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
        self.target = target
        self.model_server = model_server
        self.processes = processes

    def check(self) -> None:
        """Raises PodError if a process has ended."""
        for process in self.processes.values():
            if (code := process.poll()) is not None:
                raise PodError(f"{Path(str(process.args[0])).name} ended with exit code {code}; its log says why")  # type: ignore[index]

    def wait(self) -> int:
        """Waits until a process ends (PodError) or Ctrl-C."""
        while True:
            self.check()
            time.sleep(0.2)


@contextlib.contextmanager
def run(
    base_path: Path,
    port: int,
    ready_timeout_seconds: float,
    log: IO[bytes] | None = None,
    *,
    sidecar_flags: Sequence[str] = (),
) -> Iterator[Pod]:
    """Starts the pod, waits until it is ready, and stops it at the end. Raises PodError.

    What the processes say goes to `log`; by default to standard error. `sidecar_flags`, each as --flag=value, come after the
    pod's own, and win. Thread counts are those of `undertone-sidecar plan`, beneath the environment's.
    """
    with tempfile.TemporaryDirectory(prefix="undertone-") as folder, contextlib.ExitStack() as processes:
        socket = f"{folder}/model.sock"
        server_flags = (f"--model_name={base_path.name}", f"--model_base_path={base_path}", f"--grpc_socket_path={socket}")
        threads = _threads(sidecar_flags)
        server = _start("undertone-dev-server", [*server_flags, "--port=0"], log, {**environment.recommended(), **threads})
        processes.callback(_stop, server)
        model_server = f"unix://{socket}"
        own_flags = (f"--model-dir={base_path}", f"--model-server={model_server}", f"--port={port}", "--metrics-port=0")
        sidecar = _start("undertone-sidecar", [*own_flags, *sidecar_flags], log, threads)
        processes.callback(_stop, sidecar)
        pod = Pod(f"localhost:{port}", model_server, {"model server": server, "sidecar": sidecar})
        _until(lambda: _serving(pod.target), pod, ready_timeout_seconds)
        yield pod


def _threads(sidecar_flags: Sequence[str]) -> Mapping[str, str]:
    """Environment variables for both processes, as planned for this machine. Raises PodError."""
    flags = [flag for flag in sidecar_flags if flag.startswith(_PLANNING)]
    planned = subprocess.run(
        [_found("undertone-sidecar"), "plan", "--format=shell", *flags], capture_output=True, text=True, check=False
    )
    if planned.returncode:
        raise PodError(f"undertone-sidecar plan: {planned.stderr.strip()}")
    return dict(line.removeprefix("export ").split("=", 1) for line in planned.stdout.splitlines())


def _found(program: str) -> str:
    beside = Path(sys.executable).with_name(program)
    found = str(beside) if beside.exists() else shutil.which(program)
    if found is None:
        raise PodError(f"{program} is not installed beside {sys.executable}, nor on the PATH")
    return found


def _start(
    program: str, flags: Sequence[str], log: IO[bytes] | None, defaults: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts `program` with `defaults` in its environment, beneath this process's own."""
    # A session of its own: Ctrl-C reaches this process alone, which then stops the others in order.
    return subprocess.Popen(
        [_found(program), *flags], stdout=log, stderr=log, start_new_session=True, env={**(defaults or {}), **os.environ}
    )


def _stop(process: subprocess.Popen[bytes], patience_seconds: float = 40.0) -> None:
    process.terminate()
    try:
        process.wait(patience_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _until(condition: Callable[[], bool], pod: Pod, timeout_seconds: float) -> None:
    end = time.monotonic() + timeout_seconds
    while not condition():
        pod.check()
        if time.monotonic() > end:
            raise PodError(f"not ready after {timeout_seconds:g} s; give it longer with --ready_timeout_seconds")
        time.sleep(0.1)


def _serving(target: str) -> bool:
    with grpc.insecure_channel(target) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1.0)
        except grpc.RpcError:
            return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def _command(command: Sequence[str], pod: Pod) -> int:
    process = subprocess.Popen(command, env={**os.environ, "UNDERTONE_TARGET": pod.target})
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the terminal sent it to the command too, which ends in its own way
        except SystemExit:
            process.terminate()
            process.wait()
            raise


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="undertone-pod",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--model_base_path", type=Path, required=True, metavar="DIR", help="the model's folder, which holds its version folders"
    )
    parser.add_argument(
        "--port", type=_port, default=50051, metavar="N", help="port of the sidecar on localhost (default: 50051)"
    )
    parser.add_argument(
        "--ready_timeout_seconds",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="how long to wait for readiness (default: 120)",
    )
    parser.add_argument("--log_file", type=Path, metavar="FILE", help="where the processes' logs go (default: standard error)")
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="what to run against the pod, after --")
    return parser


if __name__ == "__main__":
    sys.exit(main())
