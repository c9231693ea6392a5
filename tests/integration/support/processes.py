"""The pod's programs as processes, which are stopped by their process id."""

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families
from undertone_bench.processes import peak_resident_bytes
from undertone_protos.v1 import classifier_pb2_grpc

TIMEOUT_SECONDS: Final = 300.0
"""Timeout of every wait and call. It is so long that only a hang reaches it."""

ENVIRONMENT: Final = {key: value for key, value in os.environ.items() if not key.startswith("UNDERTONE_")} | {"COLUMNS": "240"}
"""Environment of every process: no settings of the user, and a wide terminal without line breaks.
"""

SERVING: Final = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING

P = TypeVar("P", bound="Process")

running: Final[list["Process"]] = []
"""Processes whose logs are added to failure reports."""


def command(program: str) -> str:
    """Path of a console script of this environment. An absolute path is returned unchanged."""
    return str(Path(sys.executable).parent / program)


def buf_curl(*arguments: str, request: object = None) -> "subprocess.CompletedProcess[str]":
    """Runs `buf curl`, a generic gRPC client that uses reflection, over plaintext.

    `arguments` are its flags and the URL; `request` becomes JSON.
    """
    program = [command("buf"), "curl", "--protocol=grpc", "--http2-prior-knowledge", *arguments]
    if request is not None:
        program.append(f"--data={json.dumps(request)}")
    return subprocess.run(program, check=False, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits until the condition is true. `what` describes it in the error."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"after {TIMEOUT_SECONDS:g} s not true: {what}")
        time.sleep(0.02)


class Process:
    """A running program. Its output goes to the file `log`."""

    def __init__(self, program: str, *flags: str, log: Path) -> None:
        self.name = program
        self._command = (command(program), *flags)
        self._log = log
        self.start()
        running.append(self)

    def start(self) -> None:
        """Starts the program, or restarts it after `kill`, with the same flags."""
        with self._log.open("ab") as output:
            self._popen = subprocess.Popen(self._command, stdout=output, stderr=output, env=ENVIRONMENT)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def wait(self) -> int:
        """Waits for the end, and returns the exit code."""
        return self._popen.wait(TIMEOUT_SECONDS)

    def kill(self) -> None:
        """Kills it, like a crash."""
        self._popen.kill()
        self.wait()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Pauses the process. Its calls wait meanwhile."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Waits until the condition is true. Fails if the process ends before."""

        def holds() -> bool:
            code = self._popen.poll()
            assert code is None, f"{self.name} ended with exit code {code} instead of: {what}\n{self.log}"
            return condition()

        until(holds, what)

    def stop(self) -> None:
        """Stops it with SIGTERM, or kills it after 20 seconds. Returns when it has ended."""
        running.remove(self)
        if self._popen.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self._popen.wait(20)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()


class ModelServer(Process):
    """undertone-dev-server for the folder `base` on a Unix socket, with metrics at METRICS_PATH.

    It serves the newest version, or those of the `policy`, a ServableVersionPolicy in text format.
    """

    METRICS_PATH: Final = "/monitoring/prometheus/metrics"

    def __init__(self, base: Path, socket: Path, log: Path, policy: str = "latest {}") -> None:
        self.target = f"unix:{socket}"
        monitoring = socket.with_suffix(".config")
        monitoring.write_text(f'prometheus_config {{ enable: true path: "{self.METRICS_PATH}" }}')
        models = socket.with_suffix(".models")
        model = f'name: "{base.name}" base_path: "{base}" model_platform: "tensorflow"'
        models.write_text(f"model_config_list {{ config {{ {model} model_version_policy {{ {policy} }} }} }}")
        super().__init__(
            "undertone-dev-server",
            f"--model_config_file={models}",
            f"--grpc_socket_path={socket}",
            "--port=0",
            "--rest_api_port=0",
            f"--monitoring_config_file={monitoring}",
            "--tensorflow_intra_op_parallelism=1",
            "--file_system_poll_wait_seconds=0.2",
            "--load_retry_interval_micros=200000",
            log=log,
        )

    @property
    def metrics_port(self) -> int:
        found = re.search(r"metrics on http://[^:]+:(\d+)/", self.log)
        assert found, self.log
        return int(found[1])


class FakeModelServer(Process):
    """A fake TF Serving with one version of a model, by default 1, on a Unix socket."""

    def __init__(self, name: str, socket: Path, *flags: str, log: Path) -> None:
        self.target = f"unix:{socket}"
        super().__init__("python", "-m", "undertone_bench.fake_model_server", self.target, name, *flags, log=log)


class Sidecar(Process):
    """undertone-sidecar on free ports."""

    def __init__(self, base: Path, model_server: str, *flags: str, log: Path) -> None:
        flags = (
            "--port=0",
            "--http-port=0",
            "--metrics-port=0",
            "--log-format=json",
            "--chunk-overlap=16",
            "--poll-seconds=0.1",
            *flags,
        )
        super().__init__("undertone-sidecar", f"--model-dir={base}", f"--model-server={model_server}", *flags, log=log)

    @property
    def target(self) -> str:
        return f"localhost:{self._listening('port')}"

    @property
    def http_port(self) -> int:
        return self._listening("http_port")

    @property
    def metrics_port(self) -> int:
        return self._listening("metrics_port")

    @property
    def health_target(self) -> str:
        """The port with grpc.health.v1 without TLS: --health-port, or the port of the service."""
        return f"localhost:{self._listening('health_port') or self._listening('port')}"

    def health(self, service: str = "") -> int:
        """The current status of grpc.health.v1."""
        with grpc.insecure_channel(self.health_target) as channel:
            request = health_pb2.HealthCheckRequest(service=service)
            return int(health_pb2_grpc.HealthStub(channel).Check(request, timeout=TIMEOUT_SECONDS).status)

    def until_listening(self) -> Self:
        self.until(lambda: '"listening"' in self.log, "the sidecar listens")
        return self

    def until_serving(self) -> Self:
        self.until_listening().until(lambda: self.health() == SERVING, "health is SERVING")
        return self

    def until_not_serving(self) -> None:
        self.until(lambda: self.health() == NOT_SERVING, "health is NOT_SERVING")

    @contextlib.asynccontextmanager
    async def connected(self) -> "AsyncIterator[classifier_pb2_grpc.ClassifierAsyncStub]":
        """A stub with its own connection."""
        async with grpc.aio.insecure_channel(self.target) as channel:
            yield classifier_pb2_grpc.ClassifierStub(channel)

    def metrics_text(self) -> str:
        """The metrics in Prometheus' text format."""
        url = f"http://localhost:{self.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as page:
            return str(page.read().decode())

    def metric(self, name: str, **labels: str) -> float:
        """Sum of all samples with this name and these labels. 0 if there is none."""
        families = text_string_to_metric_families(self.metrics_text())
        samples = (sample for family in families for sample in family.samples if sample.name == name)
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def calls_running(self, method: str) -> int:
        """Calls of a method of the Classifier in flight."""
        ended = self.metric("grpc_server_handled_total", grpc_method=method)
        return int(self.metric("grpc_server_started_total", grpc_method=method) - ended)

    def resident_bytes(self) -> int:
        """Peak resident memory."""
        return peak_resident_bytes(self.pid)

    def _listening(self, field: str) -> int:
        # The last start counts: a port that the system chooses changes with a restart.
        lines = [line for line in self.log.splitlines() if '"listening"' in line]
        return int(json.loads(lines[-1])[field] or 0)


class Launcher:
    """Starts processes, and stops them at the end of its block, the latest first."""

    def __init__(self) -> None:
        # The path of pytest's folder may be too long for a Unix socket: some systems allow 100
        # bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="undertone-"))
        self._numbers = itertools.count(1)
        self._started: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for process in reversed(self._started):
            process.stop()
        shutil.rmtree(self._folder)

    def model_server(self, base: Path, policy: str = "latest {}") -> ModelServer:
        return self._watched(ModelServer(base, self._folder / "model.sock", self._log("model-server"), policy))

    def fake_model_server(self, name: str, *flags: str) -> FakeModelServer:
        log = self._log("fake-model-server")
        return self._watched(FakeModelServer(name, log.with_suffix(".sock"), *flags, log=log))

    def sidecar(self, base: Path, model_server: str, *flags: str) -> Sidecar:
        return self._watched(Sidecar(base, model_server, *flags, log=self._log("sidecar")))

    def _log(self, name: str) -> Path:
        return self._folder / f"{next(self._numbers):02d}-{name}.log"

    def _watched(self, process: P) -> P:
        self._started.append(process)
        return process
