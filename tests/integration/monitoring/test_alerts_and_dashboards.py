"""The chart's rules and dashboards in a real Prometheus that scrapes real processes.

Each alert is silent at first and fires after its fault; test_job_pods.py has UndertoneJobLate. Each
query of the dashboards has a result.
Only durations and the threshold of padding differ from production.
"""

import asyncio
import itertools
import json
import string
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import grpc
from undertone_bench.chart import Chart
from undertone_bench.envoy import LOOPBACK
from undertone_bench.processes import free_ports
from undertone_sidecar.testing import LABELS, FakeTFServing, write_version

from tests.chart.support.paths import CHART
from tests.integration.conftest import Pod
from tests.integration.support.envoy import EnvoyLauncher
from tests.integration.support.kube_state_metrics import kube_state_metrics
from tests.integration.support.load import calling, full_text, paced
from tests.integration.support.processes import TIMEOUT_SECONDS, ModelServer, Process
from tests.integration.support.prometheus import Prometheus, Pushgateway, Target

IMMEDIATELY: Final = {"for": "0s", "severity": "critical"}
MONITORING: Final = {
    "prometheusRule": True,
    "ruleInterval": "1s",
    "slo": {
        "seconds": {"Classify": 4.096},
        "burnRates": [{"factor": 5, "long": "10s", "short": "5s", **IMMEDIATELY}],
    },
    "alerts": {
        "noHealthyPods": IMMEDIATELY,
        "metricsMissing": IMMEDIATELY,
        "shedding": {**IMMEDIATELY, "window": "5s"},
        "breakerOpen": IMMEDIATELY,
        "paddingWaste": {**IMMEDIATELY, "window": "5s", "share": 0.1},
        "podsAtMaximum": IMMEDIATELY,
        "modelMismatch": IMMEDIATELY,
        "modelsDiffer": IMMEDIATELY,
        "batchLate": {**IMMEDIATELY, "seconds": 2},
        "batchFailed": IMMEDIATELY,
        "cronJobLate": {**IMMEDIATELY, "seconds": 3600},
    },
}
NAMESPACE: Final = "reading"
WINDOW: Final = "1m"
"""The window of the dashboards' rates, longer than the test."""

PODS: Final = ("spring-undertone-inference-a", "spring-undertone-inference-b")


class Job(Process):
    """`undertone score` with the flags of the chart's jobs."""

    def __init__(self, name: str, target: str, gateway: str, folder: Path, paragraphs: list[str], *flags: str) -> None:
        folder.mkdir()
        (folder / "input.txt").write_text("\n\n".join(paragraphs))
        arguments = (str(folder / "input.txt"), f"--out={folder / 'scores'}", f"--target={target}", f"--pushgateway={gateway}")
        named = f"--job=spring-undertone-{name}", f"--pushgateway-namespace={NAMESPACE}"
        super().__init__("undertone", "score", *arguments, *named, *flags, log=folder / "log")


def labels(pod: str, namespace: str = NAMESPACE) -> dict[str, str]:
    return {"namespace": namespace, "pod": pod}


def rules(chart: Chart) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = chart.render({"monitoring": MONITORING}).one("PrometheusRule")["spec"]["groups"]
    return groups


ABSENT_METRICS = (
    "undertone_cache_errors_total",
    "undertone_cache_paragraphs_total",
    "undertone_cache_seconds",
    "undertone_flagged_paragraphs_total",
    "undertone_shared_paragraphs_total",
)
"""Metrics that these sidecars do not have: no answer cache, and a model without languages."""


def dashboard_queries() -> list[str]:
    panels = json.loads((CHART / "files/dashboards/undertone.json").read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    queries = [query for query in queries if not any(metric in query for metric in ABSENT_METRICS)]
    return [query.replace("$__rate_interval", WINDOW).replace("$namespace", NAMESPACE) for query in queries]


async def until(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    """Waits for the condition. Both callables run in another thread than the model servers."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < end, await asyncio.to_thread(what)
        await asyncio.sleep(0.2)


async def test_alerts_fire_after_their_faults_and_panels_have_data(chart: Chart, pod: Pod, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        launch = stack.enter_context(EnvoyLauncher(chart))
        cluster = stack.enter_context(kube_state_metrics(last_success=time.time()))

        def started(process: Any) -> Any:
            stack.callback(process.stop)
            return process

        gateway = started(Pushgateway(tmp_path))
        servings, sidecars, targets = [], {}, []
        # A long bound, because a stuck model server would end the load on the queue.
        unbounded = "--predict-timeout-seconds=600"
        for name, flags in zip(PODS, ((), ("--dogstatsd=unix:///nowhere/dsd.socket",)), strict=True):
            folder = tmp_path / name / "emotions"
            write_version(folder, 1)
            serving = FakeTFServing("emotions", 1)
            servings.append(serving)
            stack.push_async_callback(serving.stop)
            port, metrics = free_ports(2)
            model_server = f"{LOOPBACK}:{await serving.start(f'{LOOPBACK}:0')}"
            small = (
                "--chunk-overlap=8",
                "--batch-tokens=128",
                "--max-queue-tokens=256",
                "--max-paragraph-characters=200",
                unbounded,
            )
            sidecars[port] = launch.sidecar(folder, model_server, f"--port={port}", f"--metrics-port={metrics}", *small, *flags)
            targets.append(Target(metrics, labels(name)))
        for sidecar in sidecars.values():
            await asyncio.to_thread(sidecar.until_serving)
        envoy = await asyncio.to_thread(launch.envoy, sidecars)
        await asyncio.to_thread(envoy.until_used, sidecars)
        (job_metrics,) = free_ports(1)
        prometheus = started(
            Prometheus(
                tmp_path,
                [
                    *targets,
                    Target(envoy.metrics, labels("spring-undertone-envoy-a"), path="/stats/prometheus"),
                    Target(job_metrics, labels("spring-undertone-backfill-a"), honor_labels=True),
                    Target(gateway.port, labels("pushgateway", "monitoring"), honor_labels=True),
                    Target(cluster.port, {}, honor_labels=True),
                    # The development server has the metrics of TF Serving. Its pod has no faults.
                    Target(pod.model_server.metrics_port, labels("other-undertone-inference-a"), path=ModelServer.METRICS_PATH),
                ],
                rules(chart),
            )
        )

        async def fires(*alerts: str) -> None:
            def message() -> str:
                return f"{set(alerts) - prometheus.firing()} do not fire; {prometheus.errors()}"

            await until(lambda: prometheus.firing() >= set(alerts), message)

        starts = itertools.product(string.ascii_lowercase, repeat=3)
        many = [full_text("".join(start)) for start in starts]
        async with (
            paced(*servings) as stopped,
            calling(envoy.target, callers=6) as load,
            calling(pod.sidecar.target, callers=1),
        ):
            # A slow job. Its first paragraph is too long, so that it is skipped.
            slow = (
                f"--metrics-port={job_metrics}",
                f"--metrics-host={LOOPBACK}",
                "--limit=2",
                "--batch-items=1",
                "--timeout=1",
            )
            started(Job("backfill", envoy.target, gateway.url, tmp_path / "backfill", ["a " * 300, *many], *slow))
            await asyncio.to_thread(gateway.until_ready)
            await asyncio.to_thread(prometheus.until_ready)
            series = "undertone:errors:ratio_rate10s", "undertone_client_limit", "undertone_tokens_total"
            await until(lambda: all(prometheus.query(name) for name in series), lambda: "series are missing")
            await until(lambda: not prometheus.errors(), lambda: str(prometheus.errors()))
            # The first evaluation of the rules may precede the first scrape.
            await until(lambda: not prometheus.firing(), lambda: f"alerts fire without a fault: {prometheus.firing()}")

            load.short = True
            await fires("UndertonePaddingWaste")
            load.short = False

            daily = started(Job("daily", envoy.target, gateway.url, tmp_path / "daily", ["a b c"]))
            assert await asyncio.to_thread(daily.wait) == 0
            await fires("UndertoneBatchLate")
            daily = started(Job("daily", f"{LOOPBACK}:1", gateway.url, tmp_path / "again", ["a b c"], "--patience=1"))
            assert await asyncio.to_thread(daily.wait) == 3
            await fires("UndertoneBatchFailed")

            cluster.replicas.set(3)
            cluster.last_success.set(time.time() - 3601)
            await fires("UndertonePodsAtMaximum", "UndertoneCronJobLate")

            for serving in servings:
                serving.fails = lambda _: grpc.StatusCode.INTERNAL
            await fires("UndertoneErrorBudgetBurn")
            for serving in servings:
                serving.fails = lambda _: grpc.StatusCode.UNAVAILABLE
            await fires("UndertoneBreakerOpen")
            for serving in servings:
                serving.fails = lambda _: None

            stopped.set()
            async with paced(*servings, seconds=5), calling(envoy.target, callers=30, deadline_seconds=60):
                await fires("UndertoneLatencyBudgetBurn", "UndertoneShedding")

            for serving in servings:
                serving.release()

            def without_data() -> list[str]:
                return [query for query in dashboard_queries() if not prometheus.query(query)]

            await until(lambda: not without_data(), lambda: f"queries without data: {without_data()}")

            write_version(tmp_path / PODS[1] / "emotions", 2, labels=LABELS[:3])
            servings[1].versions = {1, 2}
            await fires("UndertoneModelMismatch")
            write_version(tmp_path / PODS[0] / "emotions", 2)
            servings[0].versions = {1, 2}
            await fires("UndertoneModelsDiffer")

            for sidecar in sidecars.values():
                sidecar.kill()
            await fires("UndertoneNoHealthyPods", "UndertoneMetricsMissing")
