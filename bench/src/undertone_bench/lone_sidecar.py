"""A sidecar with a fake model server, which answers at once or after a chosen time."""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from undertone_bench.errors import BenchError
from undertone_bench.experiment import Experiment
from undertone_bench.processes import stop


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

    def start(self) -> None:
        """Starts both processes, and waits until the sidecar is ready.

        Raises:
            BenchError: The sidecar ended. The message contains its log.
        """
        self._processes.append(subprocess.Popen(self._server))
        with self._log.open("wb") as output:
            self._processes.append(subprocess.Popen(self._sidecar, stderr=output, stdout=output))
        listening = self._wait_until_ready()
        self.target, self.http_port = f"localhost:{listening['port']}", listening["http_port"]
        self.metrics_port = listening["metrics_port"]

    def metric(self, name: str) -> float:
        """The value of the metric with this name and labels, as /metrics names it. 0 if absent."""
        with urlopen(f"http://localhost:{self.metrics_port}/metrics") as reply:
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

    def _wait_until_ready(self) -> dict[str, Any]:
        """The ports of the sidecar. Raises BenchError with its log if it ends."""
        while '"ready"' not in (text := self._log.read_text(encoding="utf-8")):
            if self._processes[-1].poll() is not None:
                raise BenchError(f"the sidecar ended:\n{text}")
            time.sleep(0.05)
        listening: dict[str, Any] = next(json.loads(line) for line in text.splitlines() if '"listening"' in line)
        return listening


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
        BenchError: The sidecar ended. The message contains its log.
    """
    with tempfile.TemporaryDirectory(prefix="undertone-bench-") as folder:
        sidecar = LoneSidecar(experiment, Path(folder), module, flags=flags, server_flags=server_flags)
        try:
            sidecar.start()
            yield sidecar
        finally:
            sidecar.stop()
