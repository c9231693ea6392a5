"""Termination of a pod in the order of Kubernetes.

The sidecar has the flags of the chart. The model server ignores signals, as TF Serving does.
"""

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
from tests.chart.support.pods import find_container, inference_pod
from tests.integration.support.processes import Process, Sidecar

TIMEOUT_SECONDS = 60
CALLS = 200


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory with a path that is short enough for a Unix socket."""
    path = Path(tempfile.mkdtemp(prefix="undertone-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def model_server(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    server = [
        sys.executable,
        "-m",
        "undertone_bench.fake_model_server",
        f"unix:{folder / 'model.sock'}",
        "emotions",
        "--ignore-signals",
    ]
    process = subprocess.Popen(["bash", str(CHART / "files/serve.sh"), *server])
    yield process
    process.terminate()
    process.wait(TIMEOUT_SECONDS)


@pytest.fixture
def sidecar(chart: Chart, folder: Path, model_server: "subprocess.Popen[bytes]") -> Iterator[Sidecar]:
    """A sidecar with the flags of the chart, except for ports, paths and the delay of the drain."""
    write_version(folder / "emotions", 1)
    values = {"inference": {"drain": {"delaySeconds": 0, "servingSeconds": 0}}, "sidecar": {"settings": {"chunk-overlap": 8}}}
    arguments_of_chart = find_container(inference_pod(chart, values), "sidecar")["args"]
    local = {"model-dir": folder / "emotions", "model-server": f"unix://{folder}/model.sock", "port": 0, "metrics-port": 0}
    flags: dict[str, str] = dict(argument.removeprefix("--").split("=", 1) for argument in arguments_of_chart)
    arguments = [f"--{flag}={local.get(flag, value)}" for flag, value in flags.items()]
    process = ChartSidecar("undertone-sidecar", *arguments, log=folder / "sidecar.log")
    yield process
    process.stop()


class ChartSidecar(Sidecar):
    """A sidecar without the default flags of tests."""

    def __init__(self, program: str, *flags: str, log: Path) -> None:
        Process.__init__(self, program, *flags, log=log)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
async def test_accepted_calls_are_answered_before_the_model_server_stops(
    sidecar: Sidecar, model_server: "subprocess.Popen[bytes]"
) -> None:
    await asyncio.to_thread(sidecar.until_serving)
    async with sidecar.connected() as stub:
        calls = [stub.Classify(classifier_pb2.ClassifyRequest(id=str(number), text="so glad")) for number in range(CALLS)]
        await asyncio.wait([asyncio.ensure_future(call) for call in calls], return_when=asyncio.FIRST_COMPLETED)
        # Kubernetes stops the ordinary container first.
        sidecar.signal(signal.SIGTERM)
        codes = [await call.code() for call in calls]
        assert await asyncio.to_thread(sidecar.wait) == 0
    # Calls are answered or rejected for a retry on another pod. None is interrupted.
    assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
    assert grpc.StatusCode.OK in codes
    # The model server runs until the sidecar has exited. Then Kubernetes stops it, too.
    assert model_server.poll() is None
    model_server.terminate()
    assert await asyncio.to_thread(model_server.wait, TIMEOUT_SECONDS) == 0
