"""Envoy with a DNS server that caches answers, and its startup probe."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import pytest
from undertone_bench.chart import Chart
from undertone_bench.cluster.cluster import running_cluster
from undertone_bench.cluster.dns import DnsServer, find_coredns
from undertone_bench.envoy import SidecarStatus, sidecar_statuses
from undertone_protos.v1 import classifier_pb2_grpc
from undertone_sidecar.testing import write_version

from tests.integration.support.callers import Stub, classify_code
from tests.integration.support.envoy import Envoy, EnvoyLauncher
from tests.integration.support.processes import TIMEOUT_SECONDS
from tests.integration.support.scripted_pod import ScriptedPod, succeed

pytestmark = pytest.mark.skipif(find_coredns() is None, reason="coredns is not on the PATH; .ci/coredns builds it")

NAME = "spring-undertone-inference.reading.svc.cluster.local"
PORT = 50051
NETWORK = os.getpid() % 250 + 1
"""Second byte of the pods' addresses. It differs between test processes that run side by side."""


@pytest.fixture
def dns(tmp_path: Path) -> Iterator[DnsServer]:
    """A server whose answers are cached for one second. It is not started."""
    server = DnsServer(tmp_path, NAME, cache_seconds=1)
    yield server
    server.stop()


@asynccontextmanager
async def pods(count: int) -> AsyncIterator[list[ScriptedPod]]:
    """Pods with addresses of their own and the port of the headless Service."""
    async with AsyncExitStack() as stack:
        hosts = [f"127.{NETWORK}.250.{number}" for number in range(1, count + 1)]
        yield [await stack.enter_async_context(ScriptedPod(succeed, host=host, port=PORT)) for host in hosts]


async def start_envoy(launch: EnvoyLauncher, dns: DnsServer) -> Envoy:
    return await asyncio.to_thread(launch.envoy, [], dns_port=dns.port, dnsRefreshSeconds=0.2)


async def until_statuses(envoy: Envoy, *wanted: tuple[ScriptedPod, bool, bool]) -> None:
    """Waits until Envoy knows exactly these pods, each with `used` and `in_dns`."""
    statuses = {SidecarStatus(pod.host, PORT, used=used, in_dns=in_dns) for pod, used, in_dns in wanted}
    await asyncio.to_thread(envoy.until, lambda: set(sidecar_statuses(envoy.admin)) == statuses, f"Envoy knows {statuses}")


async def until_updates(envoy: Envoy, name: str, count: int) -> None:
    """Waits until the statistic of DNS updates has grown by `count`."""
    statistic = f"cluster.sidecars.{name}"
    wanted = await asyncio.to_thread(envoy.statistic, statistic) + count
    await asyncio.to_thread(envoy.until, lambda: envoy.statistic(statistic) >= wanted, f"{name} has grown")


@asynccontextmanager
async def stub_of(envoy: Envoy) -> AsyncIterator[Stub]:
    async with grpc.aio.insecure_channel(envoy.target) as channel:
        yield classifier_pb2_grpc.ClassifierStub(channel)


async def test_a_pod_that_leaves_dns_is_used_until_it_reports_not_serving(launch_envoy: EnvoyLauncher, dns: DnsServer) -> None:
    dns.start()
    async with pods(2) as (leaving, staying):
        dns.publish([leaving.host, staying.host])
        envoy = await start_envoy(launch_envoy, dns)
        await until_statuses(envoy, (leaving, True, True), (staying, True, True))
        dns.publish([staying.host])
        await until_statuses(envoy, (leaving, True, False), (staying, True, True))
        async with stub_of(envoy) as stub:
            leaving.ids.clear()
            while not leaving.ids:
                assert await classify_code(stub, "") is grpc.StatusCode.OK
        await leaving.set_health(serving=False)
        await until_statuses(envoy, (staying, True, True))


async def test_an_outage_of_dns_keeps_the_pods_that_work(launch_envoy: EnvoyLauncher, dns: DnsServer) -> None:
    dns.start()
    async with pods(2) as (known, new):
        dns.publish([known.host])
        envoy = await start_envoy(launch_envoy, dns)
        await until_statuses(envoy, (known, True, True))
        dns.stop()
        await until_updates(envoy, "update_failure", 2)
        await until_statuses(envoy, (known, True, True))
        async with stub_of(envoy) as stub:
            assert await classify_code(stub, "") is grpc.StatusCode.OK
        dns.publish([known.host, new.host])
        dns.start()
        await until_statuses(envoy, (known, True, True), (new, True, True))


async def test_the_startup_probe_needs_a_healthy_sidecar_and_the_readiness_probe_does_not(
    launch_envoy: EnvoyLauncher, dns: DnsServer
) -> None:
    async with pods(1) as (pod,):
        await pod.set_health(serving=False)
        envoy = await start_envoy(launch_envoy, dns)
        # Envoy itself is ready, though it found no sidecar.
        assert envoy.ready()
        assert not envoy.healthy()
        dns.publish([pod.host])
        dns.start()
        await until_statuses(envoy, (pod, False, True))
        assert not envoy.healthy()
        await pod.set_health(serving=True)
        await asyncio.to_thread(envoy.until, envoy.healthy, "the startup probe succeeds")
        await pod.set_health(serving=False)
        await until_statuses(envoy, (pod, False, True))
        assert envoy.ready()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder with a path that is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="undertone-") as folder:
        yield Path(folder)


async def test_drains_and_crashes_fail_no_call_though_dns_answers_are_cached(chart: Chart, short_folder: Path) -> None:
    """With real sidecars, and Kubernetes played by the test.

    The first pod is lost. The second pod is evicted as soon as the successor of the first is ready,
    when Envoy does not know the successor. Then a model server is lost.
    """
    values = {"inference": {"drain": {"servingSeconds": 5, "delaySeconds": 2, "periodSeconds": 10}}}
    envoy_values = {"dnsRefreshSeconds": 0.2, "healthCheck": {"intervalSeconds": 0.3, "unhealthyThreshold": 2}}
    model = short_folder / "emotions"
    write_version(model, 1)
    async with (
        asyncio.timeout(TIMEOUT_SECONDS),
        running_cluster(
            chart,
            model,
            short_folder,
            number=NETWORK,
            cache_seconds=2,
            in_flight=32,
            predict_seconds=0.05,
            load_seconds=0,
            values=values,
            envoy_values=envoy_values,
        ) as cluster,
    ):
        first, second = cluster.inference.ready_pods()
        first.containers["sidecar"].kill()
        await first.containers["sidecar"].wait_not_ready()
        for pod in (first, second):
            await cluster.inference.evict(pod, max_unavailable=cluster.max_unavailable)
        await second.gone.wait()
        assert cluster.load.failures == []
        await cluster.wait_used()
        model_server = cluster.inference.ready_pods()[0].containers["model-server"]
        model_server.kill()
        await model_server.wait_not_ready()
        await cluster.load.wait_calls(100)
        assert cluster.load.failures == []
