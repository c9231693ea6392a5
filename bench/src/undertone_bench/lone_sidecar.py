"""A sidecar with a fake model server, which answers at once or after a chosen time."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.request import urlopen

from undertone_bench.experiment import Experiment
from undertone_bench.processes import stop
from undertone_bench.readiness import START_SECONDS, wait_until_ready


class LoneSidecar:
    """A sidecar with the experiment's model and flags, and its fake model server, as processes.

    Attributes:
        target: gRPC address of the sidecar.
        http_port: HTTP port of the sidecar if it has one.
        metrics_port: Port of its metrics.
    """

    target: str
    http_port: int | None
    metrics_port: int

    def __init__(
        self,
        experiment: Experiment,
        folder: Path,
        module: Sequence[str] = ("undertone_sidecar",),
        *,
        flags: Sequence[str] = (),
        server_flags: Sequence[str] = (),
    ) -> None:
        """Starts nothing.

        Args:
            experiment: What is measured.
            folder: An existing folder for the log and the socket. Its path must be short.
            module: The module that runs the sidecar, and the arguments before the flags.
            flags: Further flags of the sidecar.
            server_flags: Further flags of the fake model server.
        """
        contract, base = experiment.model.contract, experiment.model.base
        address = f"unix:{folder}/model.sock"
        options = [f"--version={contract.version}", f"--labels={len(contract.labels)}", *server_flags]
        self._server = [sys.executable, "-m", "undertone_bench.fake_model_server", address, base.name, *options]
        addresses = [f"--model-dir={base}", f"--model-server={address}", "--port=0", "--metrics-port=0"]
        own = [*addresses, "--log-format=json", *experiment.sidecar_flags, *flags]
        self._sidecar = [sys.executable, "-m", *module, *own]
        self._log = folder / "sidecar.log"
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def pid(self) -> int:
        """Process id of the sidecar."""
        return self._processes[-1].pid

    def start(self, *, seconds: float = START_SECONDS) -> None:
        """Starts both processes, and waits until the sidecar is ready, at most for this time.

        Raises:
            BenchError: A process ended, or the time is over. The message has the end of the
                sidecar's log.
        """
        self._processes.append(subprocess.Popen(self._server))
        with self._log.open("wb") as output:
            self._processes.append(subprocess.Popen(self._sidecar, stderr=output, stdout=output))
        processes = dict(zip(("the fake model server", "the sidecar"), self._processes, strict=True))
        wait_until_ready(processes, lambda: b'"ready"' in self._log.read_bytes(), self._log, seconds=seconds)
        lines = self._log.read_text(encoding="utf-8").splitlines()
        listening = next(json.loads(line) for line in lines if '"listening"' in line)
        self.target, self.http_port = f"localhost:{listening['port']}", listening["http_port"]
        self.metrics_port = listening["metrics_port"]

    def metric(self, name: str) -> float:
        """The value of the metric with this name and labels, as /metrics names it. 0 if absent."""
        with urlopen(f"http://localhost:{self.metrics_port}/metrics", timeout=30) as reply:
            lines = reply.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))

    def kill(self) -> None:
        """Kills both processes at once. `start` starts them again."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()

    def stop(self) -> None:
        """Stops the sidecar, and then the model server."""
        for process in reversed(self._processes):
            stop(process)
        self._processes.clear()


@contextlib.contextmanager
def running_sidecar(
    experiment: Experiment,
    module: Sequence[str] = ("undertone_sidecar",),
    *,
    flags: Sequence[str] = (),
    server_flags: Sequence[str] = (),
) -> Iterator[LoneSidecar]:
    """A ready sidecar, stopped at the end of the block. See `LoneSidecar`.

    Raises:
        BenchError: It does not become ready. The message has the end of its log.
    """
    with tempfile.TemporaryDirectory(prefix="undertone-bench-") as folder:
        sidecar = LoneSidecar(experiment, Path(folder), module, flags=flags, server_flags=server_flags)
        try:
            sidecar.start()
            yield sidecar
        finally:
            sidecar.stop()
