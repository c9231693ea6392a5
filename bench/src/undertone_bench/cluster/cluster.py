"""The cluster: DNS, inference pods, Envoy pods, and load through Envoy."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from undertone_bench.chart import Chart
from undertone_bench.cluster.controllers import Deployment, Endpoints
from undertone_bench.cluster.dns import DnsServer
from undertone_bench.cluster.load import Load
from undertone_bench.cluster.pods import EnvoyPod, InferencePod, UpdateLimits, pod_spec, scaled
from undertone_bench.cluster.service import VirtualService
from undertone_bench.envoy import LOOPBACK, EnvoyDeployment, EnvoyPorts, sidecar_statuses
from undertone_bench.readiness import START_SECONDS, at_most

REPLICAS: Final = 2

_SIDECAR_SETTINGS: Final = ("--chunk-overlap=8",)
"""Flags for the model of write_version, whose sequences are short."""


@dataclass(slots=True)
class Cluster:
    """A running cluster. `folder` has the logs of its processes."""

    folder: Path
    inference: Deployment[InferencePod]
    envoys: Deployment[EnvoyPod]
    dns: DnsServer
    load: Load
    calling: "asyncio.Task[None]"
    max_unavailable: int

    async def wait_gone(self) -> None:
        """Waits until no pod is terminating."""
        while any(pod.terminating for pod in (*self.inference.pods, *self.envoys.pods)):  # noqa: ASYNC110
            await asyncio.sleep(0.2)

    async def wait_used(self) -> None:
        """Waits until all pods are ready, and every Envoy sends calls to all ready pods."""
        while True:
            envoys, pods = self.envoys.ready_pods(), self.inference.ready_pods()
            if len(envoys) == len(pods) == REPLICAS:
                wanted = {pod.address for pod in pods}
                with contextlib.suppress(OSError):
                    known = [await asyncio.to_thread(sidecar_statuses, pod.ports.admin) for pod in envoys]
                    if all(wanted <= {status.address for status in one if status.used} for one in known):
                        return
            await asyncio.sleep(0.2)

    async def call_service(self, service: VirtualService) -> None:
        """Directs the load to the virtual address of the Envoys."""
        self.calling.cancel()
        await asyncio.gather(self.calling, return_exceptions=True)
        self.calling = asyncio.create_task(self.load.run([f"{LOOPBACK}:{service.port}"]))

    async def drain(self) -> None:
        """Evicts every pod as soon as the PodDisruptionBudget allows it."""
        for pod in self.inference.ready_pods():
            await self.inference.evict(pod, max_unavailable=self.max_unavailable)
        await self.inference.wait_available()


@contextlib.asynccontextmanager
async def running_cluster(
    chart: Chart,
    model: Path,
    folder: Path,
    *,
    number: int,
    cache_seconds: int,
    in_flight: int,
    predict_seconds: float,
    load_seconds: float,
    values: Mapping[str, Any] | None = None,
    envoy_values: Mapping[str, Any] | None = None,
) -> AsyncIterator[Cluster]:
    """Starts a cluster and its load, and stops it at the end of the block.

    Args:
        chart: The chart.
        model: Folder of the versions of a model of write_version.
        folder: An existing folder for files of the processes.
        number: 1 to 250. Pods have addresses of 127.NUMBER.0.0/16.
        cache_seconds: The time for which DNS caches answers.
        in_flight: Calls in flight.
        predict_seconds: Duration of a Predict call.
        load_seconds: Time that a model server needs to start.
        values: Values of the chart, without loadBalancer.
        envoy_values: Values below loadBalancer.envoy.

    Raises:
        BenchError: A program is not installed, or the cluster does not start.
    """
    manifests = chart.render({**(values or {}), "loadBalancer": {"envoy": envoy_values or {}}, "test": {"enabled": False}})
    deployment, budget = manifests.one("Deployment", "-inference"), manifests.one("PodDisruptionBudget", "-inference")
    service = manifests.one("Service", "-inference")
    name = f"{service['metadata']['name']}.reading.svc.cluster.local"
    all_pods = bool(service["spec"].get("publishNotReadyAddresses"))
    numbers = itertools.count(1)
    addresses = (f"127.{number}.{count // 200}.{count % 200 + 1}" for count in itertools.count())
    dns = DnsServer(folder, name, cache_seconds=cache_seconds)

    def inference_pod() -> InferencePod:
        return InferencePod(
            f"inference-{next(numbers)}",
            next(addresses),
            pod_spec(deployment),
            folder,
            model,
            settings=_SIDECAR_SETTINGS,
            server_flags=(f"--seconds={predict_seconds}", f"--load-seconds={load_seconds}"),
        )

    def envoy_pod() -> EnvoyPod:
        ports = EnvoyPorts.free()
        rendered = EnvoyDeployment.render(chart, [], ports, envoy_values=envoy_values, chart_values=values, dns_port=dns.port)
        own = folder / f"envoy-{next(numbers)}"
        own.mkdir()
        return EnvoyPod(own.name, pod_spec(manifests.one("Deployment", "-envoy")), own, rendered, ports)

    inference = Deployment(inference_pod, replicas=REPLICAS, limits=UpdateLimits.of(deployment, REPLICAS))
    envoys = Deployment(envoy_pod, replicas=REPLICAS, limits=UpdateLimits.of(manifests.one("Deployment", "-envoy"), REPLICAS))
    with dns:
        tasks = [
            asyncio.create_task(run)
            for run in (inference.run(), envoys.run(), Endpoints(inference, dns.publish, all_pods=all_pods).run())
        ]
        load = Load(in_flight)
        # Percentages of a PodDisruptionBudget are rounded up.
        max_unavailable = scaled(budget["spec"]["maxUnavailable"], REPLICAS, up=True)
        cluster = Cluster(folder, inference, envoys, dns, load, asyncio.create_task(asyncio.sleep(0)), max_unavailable)
        try:
            async with at_most(START_SECONDS, "the start of the cluster", folder):
                await cluster.wait_used()
            targets = [f"{LOOPBACK}:{pod.ports.api}" for pod in envoys.ready_pods()]
            cluster.calling = asyncio.create_task(load.run(targets))
            yield cluster
        finally:
            for task in (cluster.calling, *reversed(tasks)):
                task.cancel()
            await asyncio.gather(cluster.calling, *tasks, return_exceptions=True)
