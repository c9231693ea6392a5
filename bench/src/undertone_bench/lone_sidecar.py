"""A sidecar with a fake model server that answers at once."""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from undertone_bench.errors import BenchError
from undertone_bench.experiment import Experiment
from undertone_bench.processes import stop


@dataclass(frozen=True, slots=True)
class LoneSidecar:
    """A running sidecar: its process id, its gRPC address, and its HTTP port if it has one."""

    pid: int
    target: str
    http_port: int | None


@contextlib.contextmanager
def running_sidecar(
    experiment: Experiment, module: Sequence[str] = ("undertone_sidecar",), *, flags: Sequence[str] = ()
) -> Iterator[LoneSidecar]:
    """A ready sidecar with the experiment's model and flags.

    Args:
        experiment: What is measured.
        module: The module that runs the sidecar, and the arguments before the flags.
        flags: Further flags.

    Raises:
        BenchError: The sidecar ended. The message contains its log.
    """
    model = experiment.model
    with tempfile.TemporaryDirectory(prefix="undertone-bench-") as folder, contextlib.ExitStack() as stack:
        socket, log = f"{folder}/model.sock", Path(folder, "sidecar.log")
        contract = model.contract
        options = [f"--version={contract.version}", f"--labels={len(contract.labels)}"]
        fake = [sys.executable, "-m", "undertone_bench.fake_model_server", f"unix:{socket}", model.base.name, *options]
        stack.callback(stop, subprocess.Popen(fake))
        addresses = [f"--model-dir={model.base}", f"--model-server=unix:{socket}", "--port=0", "--metrics-port=0"]
        command = [sys.executable, "-m", *module, *addresses, "--log-format=json", *experiment.sidecar_flags, *flags]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stderr=output, stdout=output)
        stack.callback(stop, process)
        listening = _wait_until_ready(log, process)
        yield LoneSidecar(process.pid, f"localhost:{listening['port']}", listening["http_port"])


def _wait_until_ready(log: Path, process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    """The ports of the sidecar. Raises BenchError with its log if it ends."""
    while '"ready"' not in (text := log.read_text(encoding="utf-8")):
        if process.poll() is not None:
            raise BenchError(f"the sidecar ended:\n{text}")
        time.sleep(0.05)
    listening: dict[str, Any] = next(json.loads(line) for line in text.splitlines() if '"listening"' in line)
    return listening
