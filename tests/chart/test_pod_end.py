"""A pod's end as Kubernetes goes about it, with the sidecar as the chart starts it and a model server that ignores signals."""

import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc.aio
import pytest
from undertone_bench.chart import Chart
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.testing.model import write_version

from tests.chart.support.paths import CHART
from tests.integration.support.processes import Process, Sidecar

PATIENCE_SECONDS = 60
CALLS = 200


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for a Unix socket's path."""
    made = Path(tempfile.mkdtemp(prefix="undertone-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def model_server(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    server = [
        sys.executable,
        str(Path(__file__).parent / "support/stubborn_model_server.py"),
        "emotions",
        str(folder / "model.sock"),
    ]
    process = subprocess.Popen(["bash", str(CHART / "files/serve.sh"), *server])
    yield process
    process.terminate()
    process.wait(PATIENCE_SECONDS)


@pytest.fixture
def sidecar(chart: Chart, folder: Path, model_server: "subprocess.Popen[bytes]") -> Iterator[Sidecar]:
    """With the chart's own arguments, but for ports and folders of this machine, and a drain without delay."""
    write_version(folder / "emotions", 1)
    values = {"inference": {"drain": {"delaySeconds": 0}}, "sidecar": {"settings": {"chunk-overlap": 8}}}
    (container,) = chart.render(values).one("Deployment", "-inference")["spec"]["template"]["spec"]["containers"]
    here = {"model-dir": folder / "emotions", "model-server": f"unix://{folder}/model.sock", "port": 0, "metrics-port": 0}
    flags: dict[str, str] = dict(argument.removeprefix("--").split("=", 1) for argument in container["args"])
    arguments = [f"--{flag}={here.get(flag, value)}" for flag, value in flags.items()]
    process = Started("undertone-sidecar", *arguments, log=folder / "sidecar.log")
    yield process
    process.stop()


class Started(Sidecar):
    """A sidecar with all of its flags given."""

    def __init__(self, program: str, *flags: str, log: Path) -> None:
        Process.__init__(self, program, *flags, log=log)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
async def test_what_was_accepted_is_answered_and_nobody_waits_for_the_grace_period(
    sidecar: Sidecar, model_server: "subprocess.Popen[bytes]"
) -> None:
    await asyncio.to_thread(sidecar.until_serving)
    async with sidecar.connected() as stub:
        calls = [stub.Classify(classifier_pb2.ClassifyRequest(id=str(number), text="so glad")) for number in range(CALLS)]
        await asyncio.wait([asyncio.ensure_future(call) for call in calls], return_when=asyncio.FIRST_COMPLETED)
        # First the ordinary container, as its pod is deleted.
        sidecar.signal(signal.SIGTERM)
        codes = [await call.code() for call in calls]
        assert await asyncio.to_thread(sidecar.wait) == 0
    # Accepted and answered, or told to go elsewhere; nothing was cut off.
    assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
    assert grpc.StatusCode.OK in codes
    # It is still there for the sidecar's last call; now that there is none, the native sidecar container is told, too.
    assert model_server.poll() is None
    model_server.terminate()
    assert await asyncio.to_thread(model_server.wait, PATIENCE_SECONDS) == 0
