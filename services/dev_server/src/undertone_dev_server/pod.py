"""The processes of a pod on one machine, without containers, for trials, demos and tests.

As in the pod, the model server starts first and stops last, because the sidecar needs it while it
drains.
"""

import contextlib
import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final, NoReturn

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from undertone_dev_server.settings import MAX_SOCKET_PATH_BYTES, recommended_environment

STOP_TIMEOUT_SECONDS: Final = 40.0
NO_VARIABLES: Final[Mapping[str, str]] = MappingProxyType({})

_THREAD_PLAN_FLAGS: Final = ("--model-calls=", "--threads-per-core=", "--tokenizer-threads=", "--auto")
"""Flags of the sidecar that `undertone-sidecar plan` needs to plan the threads."""


class PodError(Exception):
    """The pod cannot run. The message says why."""


class Pod:
    """A running pod.

    `target` is the gRPC address of the sidecar, `model_server` that of the model server.
    `http_url` is the URL of the sidecar's JSON API, empty without one. `processes` maps names to
    processes. `threads` are the planned numbers of threads, as environment variables.
    `load_seconds` is the time from the start until the model is loaded, and `warmup_seconds` from
    then on until the sidecar is ready.
    """

    def __init__(
        self,
        target: str,
        model_server: str,
        processes: Mapping[str, subprocess.Popen[bytes]],
        http_url: str = "",
        threads: Mapping[str, str] = NO_VARIABLES,
    ) -> None:
        self.threads = threads
        self.load_seconds = 0.0
        self.warmup_seconds = 0.0
        self.target = target
        self.http_url = http_url
        self.model_server = model_server
        self.processes = processes

    def check(self) -> None:
        """Raises PodError if a process has ended."""
        for process in self.processes.values():
            if (code := process.poll()) is not None:
                program = Path(str(process.args[0])).name  # type: ignore[index]
                end = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
                raise PodError(f"{program} {end}; see its log")

    def wait(self) -> NoReturn:
        """Waits until a process ends, which raises PodError."""
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
    http_port: int | None = None,
    playground: bool = True,
    sidecar_flags: Sequence[str] = (),
    cpus: Collection[int] = (),
    variables: Mapping[str, str] = NO_VARIABLES,
) -> Iterator[Pod]:
    """Starts the pod, waits until it is ready, and stops it at the end of the block. Raises
    PodError. Port 0 chooses a free port. `http_port` None opens none.
    `playground` serves the playground there.

    The processes log to `log`, or to standard error if it is None. `sidecar_flags` have the form
    --flag=value and override the pod's own flags. `undertone-sidecar plan` sets the numbers of
    threads; environment variables override it. Both processes run on the CPUs with the numbers
    `cpus`, which are by default those of this process. `variables` are added to their environment,
    and override it.
    """
    port = _reserve_port(port)
    if http_port is not None:
        http_port = _reserve_port(http_port, "--http_port", "0 for a free one, or off")
    with tempfile.TemporaryDirectory(prefix="undertone-") as folder, contextlib.ExitStack() as stack:
        path = f"{folder}/model.sock"
        if (length := len(os.fsencode(path))) > MAX_SOCKET_PATH_BYTES:
            raise PodError(
                f"{path} is {length} bytes long; the maximum for a Unix socket is {MAX_SOCKET_PATH_BYTES}: "
                "set TMPDIR to a folder with a shorter path"
            )
        model_server = f"unix://{path}"
        with _pinned(cpus):
            threads = _plan_threads(sidecar_flags)
        server_flags = (
            f"--model_name={base_path.name}",
            f"--model_base_path={base_path}",
            f"--grpc_socket_path={folder}/model.sock",
            "--port=0",
        )
        started = time.monotonic()
        with _pinned(cpus):
            server = _start("undertone-dev-server", server_flags, log, {**recommended_environment(), **threads}, variables)
        stack.callback(_stop, server)
        own_flags = (f"--model-dir={base_path}", f"--model-server={model_server}", f"--port={port}", "--metrics-port=0")
        http_flag = f"--http-port={'off' if http_port is None else http_port}"
        page_flag = f"--playground={str(playground).lower()}"
        flags = (*own_flags, http_flag, page_flag, *sidecar_flags)
        with _pinned(cpus):
            sidecar = _start("undertone-sidecar", flags, log, threads, variables)
        stack.callback(_stop, sidecar)
        http_url = f"http://localhost:{http_port}" if http_port is not None else ""
        pod = Pod(f"localhost:{port}", model_server, {"model server": server, "sidecar": sidecar}, http_url, threads)
        end = started + ready_timeout_seconds
        _wait_until(Path(path).exists, pod, end, ready_timeout_seconds)
        loaded = time.monotonic()
        # A program that took the port meanwhile would answer at once. Until the model server
        # listens, the sidecar has opened its port, or has ended, which the last check finds.
        _wait_until(lambda: _is_serving(pod.target), pod, end, ready_timeout_seconds)
        pod.check()
        pod.load_seconds, pod.warmup_seconds = loaded - started, time.monotonic() - loaded
        yield pod


def _reserve_port(port: int, flag: str = "--port", alternatives: str = "or 0 for a free one") -> int:
    """A port that no program uses: `port`, or a free one for 0. Raises PodError.

    The readiness check would otherwise reach that program, which may be another pod. Binding finds
    programs that do not answer, too.
    """
    # Localhost has an address of IPv4 and often one of IPv6, and a client may use either.
    for family, kind, protocol, _, address in socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM):
        with socket.socket(family, kind, protocol) as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC does
            try:
                candidate.bind((address[0], port))
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:  # an address without an interface
                    continue
                reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
                remedy = "stop the program that uses it, or use" if error.errno == errno.EADDRINUSE else "use"
                raise PodError(f"port {port} of localhost {reason}: {remedy} another {flag}, {alternatives}") from None
            port = candidate.getsockname()[1]
    return port


def _plan_threads(sidecar_flags: Sequence[str]) -> Mapping[str, str]:
    """Environment variables for both processes with the numbers of threads for this machine. Raises
    PodError.
    """
    flags = [flag for flag in sidecar_flags if flag.startswith(_THREAD_PLAN_FLAGS)]
    plan = subprocess.run(
        [_executable("undertone-sidecar"), "plan", "--format=shell", *flags], capture_output=True, text=True, check=False
    )
    if plan.returncode:
        raise PodError(f"undertone-sidecar plan: {plan.stderr.strip()}")
    return dict(line.removeprefix("export ").split("=", 1) for line in plan.stdout.splitlines())


@contextlib.contextmanager
def _pinned(cpus: Collection[int]) -> Iterator[None]:
    """Processes that start in this block run on these CPUs. Empty changes nothing.

    Only this thread is pinned, so the block must start no threads.
    """
    if not cpus:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _executable(program: str) -> str:
    """Path of a program in this interpreter's folder or on the PATH. Raises PodError."""
    path = Path(sys.executable).with_name(program)
    executable = str(path) if path.exists() else shutil.which(program)
    if executable is None:
        raise PodError(f"{program} is not installed beside {sys.executable} or on the PATH")
    return executable


def _start(
    program: str,
    flags: Sequence[str],
    log: IO[bytes] | None,
    defaults: Mapping[str, str],
    variables: Mapping[str, str] = NO_VARIABLES,
) -> subprocess.Popen[bytes]:
    """Starts `program`. The variables of this process override those in `defaults`, and `variables`
    override both.
    """
    # In a new session, Ctrl-C reaches only this process, which stops the others in order.
    environment = {**defaults, **os.environ, **variables}
    return subprocess.Popen([_executable(program), *flags], stdout=log, stderr=log, start_new_session=True, env=environment)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until(condition: Callable[[], bool], pod: Pod, end: float, timeout_seconds: float) -> None:
    while not condition():
        pod.check()
        if time.monotonic() > end:
            raise PodError(f"the pod was not ready after {timeout_seconds:g} s; increase --ready_timeout_seconds")
        time.sleep(0.1)


def _is_serving(target: str) -> bool:
    with grpc.insecure_channel(target) as channel:
        try:
            response = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1.0)
        except grpc.RpcError:
            return False
    return bool(response.status == health_pb2.HealthCheckResponse.SERVING)
