"""Failed calls in rollouts, drains and kills, with cached DNS answers."""

import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from undertone_sidecar.testing import write_version

from undertone_bench.chart import CHART, Chart, find_helm
from undertone_bench.cluster.cluster import Cluster, running_cluster
from undertone_bench.cluster.container import Container
from undertone_bench.cluster.service import VirtualService
from undertone_bench.errors import BenchError
from undertone_bench.options import FiniteRange, count_option, finish, output_option, progress, seconds_option
from undertone_bench.readiness import at_most
from undertone_bench.report import Report, Table

CONTAINERS: Final = ("model-server", "sidecar", "envoy")
KINDS: Final = ("rollout", "drain", *(f"kill of {name}" for name in CONTAINERS), "rollout of Envoy")

_EVENT_SECONDS: Final = 1800.0
"""Maximum time of an event, which takes minutes."""
_NOTICE_SECONDS: Final = 0.5
"""Time until the client's connection to a killed Envoy is closed. It sends calls meanwhile."""


@dataclass(frozen=True, slots=True)
class Event:
    """A rollout, a drain or a kill, with the calls that ended during it.

    `in_flight` are failed calls that were in flight when Envoy was killed. They are not among the
    `failed` ones: they cannot be saved without a retry by the client.
    """

    dns_cache: int
    callers: int
    kind: str
    seconds: float
    calls: int
    failed: int
    in_flight: int
    errors: str


@click.command(
    epilog="""\b
Examples:
  undertone-bench rollouts                                      all events, about 40 minutes
  undertone-bench rollouts --rollouts 1 --drains 0 --kills 0 --dns-cache 5
  undertone-bench rollouts --chart ../old/deploy/helm/undertone the chart of another version"""
)
@count_option("--rollouts", "rollout_count", default=5, help_text="Number of rollouts.", least=0)
@count_option("--drains", default=3, help_text="Number of drains of both nodes.", least=0)
@count_option("--envoy-rollouts", default=2, help_text="Number of rollouts of Envoy.", least=0)
@count_option("--kills", default=10, help_text="Number of kills of each container.", least=0)
@click.option(
    "--kill",
    "kinds",
    multiple=True,
    default=CONTAINERS,
    show_default=True,
    type=click.Choice(CONTAINERS),
    help="Container to kill; repeatable.",
)
@click.option(
    "--dns-cache",
    "caches",
    multiple=True,
    default=(0, 5, 30, 60),
    show_default=True,
    type=click.IntRange(0, 3600),
    metavar="SECONDS",
    help="Time for which DNS caches answers; repeatable.",
)
@click.option(
    "--in-flight",
    "callers",
    multiple=True,
    default=(8, 32),
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="Number of calls in flight; repeatable.",
)
@count_option("--parallel", default=8, help_text="Number of clusters at the same time.")
@seconds_option("--predict-seconds", 0.5, "Duration of a Predict call of the fake model server.", FiniteRange(0))
@seconds_option("--load-seconds", 5.0, "Time that the fake model server needs to start.", FiniteRange(0))
@click.option(
    "--chart",
    "path",
    default=CHART,
    show_default=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the chart.",
)
@output_option
def rollouts(path: Path, output: Path, **options: Any) -> None:
    """Count failed calls in rollouts, drains and kills, with cached DNS answers.

    Each cluster has two inference pods and two Envoys with the times of the chart's defaults, fake
    model servers, and CoreDNS as a DNS server that caches. Callers do not retry. Exit code 1 if a
    call failed that was not in flight in a killed Envoy.
    """
    with tempfile.TemporaryDirectory(prefix="undertone-") as folder:
        home = Path(folder)
        chart = Chart(find_helm(home), home, path)
        events = asyncio.run(_run(chart, home, **options))
    finish(_report(events), output)
    if any(event.failed for event in events):
        raise BenchError("calls failed: see the table above")


async def _run(
    chart: Chart,
    home: Path,
    *,
    rollout_count: int,
    drains: int,
    envoy_rollouts: int,
    kills: int,
    kinds: Sequence[str],
    caches: Sequence[int],
    callers: Sequence[int],
    parallel: int,
    predict_seconds: float,
    load_seconds: float,
) -> list[Event]:
    model = home / "emotions"
    write_version(model, 1)
    slots = asyncio.Semaphore(parallel)

    async def cluster_events(number: int, cache: int, count: int) -> list[Event]:
        folder = home / str(number)
        folder.mkdir()
        async with (
            slots,
            running_cluster(
                chart,
                model,
                folder,
                number=number % 250 + 1,  # other runs have other addresses
                cache_seconds=cache,
                in_flight=count,
                predict_seconds=predict_seconds,
                load_seconds=load_seconds,
            ) as cluster,
        ):
            recorder = Recorder(cluster, cache, count)
            await _disturb(cluster, recorder, rollouts=rollout_count, drains=drains, kills=kills, kinds=kinds)
            async with VirtualService(cluster.envoys) as service:
                if envoy_rollouts:
                    await cluster.call_service(service)
                for _ in range(envoy_rollouts):
                    await recorder.record("rollout of Envoy", cluster.envoys.rollout)
            return recorder.events

    pairs = itertools.product(callers, caches)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(cluster_events(number, cache, count)) for number, (count, cache) in enumerate(pairs, os.getpid())
        ]
    return [event for task in tasks for event in task.result()]


async def _disturb(
    cluster: Cluster, recorder: "Recorder", *, rollouts: int, drains: int, kills: int, kinds: Sequence[str]
) -> None:
    """Rounds of a rollout, a drain, and two kills of each container.

    Kills follow a rollout, so that the first restart of each container has no back-off.
    """
    killed = dict.fromkeys(kinds, 0)
    for number in range(max(rollouts, drains, -(-kills // 2))):
        for kind, count, action in (("rollout", rollouts, cluster.inference.rollout), ("drain", drains, cluster.drain)):
            if number < count:
                await recorder.record(kind, action)
        for name, turn in itertools.product(kinds, range(2)):
            if killed[name] < kills:
                killed[name] += 1
                await recorder.record_kill(name, turn)


class Recorder:
    """Records the calls that end during each event."""

    def __init__(self, cluster: Cluster, dns_cache: int, callers: int) -> None:
        self.events: list[Event] = []
        self._cluster = cluster
        self._load = cluster.load
        self._dns_cache = dns_cache
        self._callers = callers

    async def record(self, kind: str, action: Callable[[], Awaitable[None]]) -> None:
        """Runs an event, and waits until the old pods are gone."""
        async with self._recorded(kind):
            await action()
            await self._cluster.wait_gone()

    async def record_kill(self, name: str, turn: int) -> None:
        """Kills a container of the pod with this number, and waits until it is used again."""
        cluster = self._cluster
        async with at_most(_EVENT_SECONDS, f"the wait before the kill of {name}", cluster.folder):
            await cluster.wait_used()
        pods = cluster.envoys.ready_pods() if name == "envoy" else cluster.inference.ready_pods()
        container: Container = pods[turn % len(pods)].containers[name]
        async with self._recorded(f"kill of {name}", killed_envoy=name == "envoy"):
            container.kill()
            # Longer than until the end of the container is known everywhere.
            await asyncio.sleep(5)
            await cluster.wait_used()
            # The client reconnects to an Envoy that was killed.
            await asyncio.sleep(2)

    @asynccontextmanager
    async def _recorded(self, kind: str, *, killed_envoy: bool = False) -> AsyncIterator[None]:
        started, calls, failures = time.monotonic(), self._load.calls, len(self._load.failures)
        async with at_most(_EVENT_SECONDS, f"{kind} with a DNS cache of {self._dns_cache} s", self._cluster.folder):
            yield
        failed = self._load.failures[failures:]
        lost = [failure for failure in failed if killed_envoy and failure.started <= started + _NOTICE_SECONDS]
        event = Event(
            self._dns_cache,
            self._callers,
            kind,
            seconds=time.monotonic() - started,
            calls=self._load.calls - calls,
            failed=len(failed) - len(lost),
            in_flight=len(lost),
            errors=self._load.summary([failure for failure in failed if failure not in lost]),
        )
        self.events.append(event)
        progress(
            f"DNS cache {self._dns_cache} s, {self._callers} calls in flight, {kind}: {event.failed} of {event.calls} calls "
            f"failed in {event.seconds:.0f} s. {event.errors}"
        )


def _report(events: Sequence[Event]) -> Report:
    groups = dict.fromkeys((event.dns_cache, event.callers) for event in events)
    rows = []
    for cache, callers in groups:
        cells = []
        for kind in KINDS:
            found = [event for event in events if (event.dns_cache, event.callers, event.kind) == (cache, callers, kind)]
            failed, calls, lost = (sum(getattr(event, name) for event in found) for name in ("failed", "calls", "in_flight"))
            cells.append(f"{failed} of {calls} ({len(found)} times)" + (f", {lost} in flight" if lost else ""))
        rows.append((str(cache), str(callers), *cells))
    return Report.new(
        "rollouts",
        "chart",
        table=Table(("DNS cache, s", "in flight", *(f"failed calls: {kind}" for kind in KINDS)), tuple(rows)),
        samples=events,
    )
