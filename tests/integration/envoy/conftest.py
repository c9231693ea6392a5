"""Envoy with three sidecars, which share one fake model server."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import grpc
import pytest
from undertone_bench.chart import Chart
from undertone_bench.processes import free_ports
from undertone_protos.v1 import classifier_pb2_grpc
from undertone_sidecar.testing import write_version

from tests.integration.support.callers import Stub
from tests.integration.support.envoy import Envoy, EnvoyLauncher
from tests.integration.support.processes import FakeModelServer, Sidecar


@dataclass(frozen=True, slots=True)
class Fleet:
    """Sidecars by port, and their common model server."""

    sidecars: dict[int, Sidecar]
    model_server: FakeModelServer


@pytest.fixture(scope="package")
def fleet(chart: Chart, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The fleet that all tests of this folder share.

    Tests must restart what they pause or stop, on the same port. With its Envoy, it ends with the
    tests of this folder, because their polling needs 9 % of a core.
    """
    base = tmp_path_factory.mktemp("fake") / "emotions"
    write_version(base, 1)
    with EnvoyLauncher(chart) as launch:
        model_server = launch.fake_model_server(base.name)
        ports = zip(free_ports(3), free_ports(3), strict=True)
        flags = ("--chunk-overlap=8", "--drain-delay-seconds=1")
        sidecars = {
            port: launch.sidecar(base, model_server.target, f"--port={port}", f"--metrics-port={metrics}", *flags)
            for port, metrics in ports
        }
        for sidecar in sidecars.values():
            sidecar.until_serving()
        yield Fleet(sidecars, model_server)
        for sidecar in sidecars.values():
            sidecar.kill()  # Draining one after the other would take seconds.


@pytest.fixture(scope="package")
def envoy(chart: Chart, fleet: Fleet) -> Iterator[Envoy]:
    """The Envoy that all tests share."""
    with EnvoyLauncher(chart) as launch:
        yield launch.envoy(fleet.sidecars, timeouts={"attemptSeconds": {"Classify": 3}})


@pytest.fixture
def launch_envoy(chart: Chart) -> Iterator[EnvoyLauncher]:
    """Starts Envoys that are stopped after the test."""
    with EnvoyLauncher(chart) as launcher:
        yield launcher


@pytest.fixture
async def channel(envoy: Envoy, fleet: Fleet) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the shared Envoy, which uses all sidecars."""
    envoy.until_used(fleet.sidecars)
    async with grpc.aio.insecure_channel(envoy.target) as connected:
        yield connected


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Stub:
    return classifier_pb2_grpc.ClassifierStub(channel)
