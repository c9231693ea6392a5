"""A real sidecar sends the metrics of docs/reference/metrics.md says."""

import asyncio
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from undertone_sidecar.metrics import CATALOGUE
from undertone_telemetry.dispatch import CATALOGUE as TELEMETRY
from undertone_telemetry.testing import StatsDMetric, sum_counters, udp_agent, unix_agent

from tests.integration.conftest import Pod
from tests.integration.support.callers import ask, ask_batch, paragraphs, wait_for_calls
from tests.integration.support.processes import Launcher, Sidecar

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/metrics.md"
LETTERS = {"counter": "c", "gauge": "g", "info": "g", "histogram": "d"}
CALLS = 50


@dataclass(frozen=True, slots=True)
class Documented:
    """A metric in a table of the page."""

    type: str
    labels: frozenset[str]
    meaning: str


def rows(columns: int) -> Iterator[list[str]]:
    """Rows of the page's tables with this number of columns whose first cell is a name."""
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == columns and re.fullmatch(r"`[a-z_]+`", cells[0]):
            yield cells


def documented() -> dict[str, Documented]:
    """All metrics of the page, by name."""
    return {
        name.strip("`"): Documented(kind, frozenset(re.findall(r"`(\w+)`", labels)), meaning)
        for name, kind, labels, meaning in rows(4)
    }


def documented_values() -> dict[str, set[str]]:
    """The values of each label that the page lists."""
    found = {name.strip("`"): set(re.findall(r"`([^`]+)`", values)) for name, values, _ in rows(3)}
    return {name: values for name, values in found.items() if values}


async def send_calls(sidecar: Sidecar) -> None:
    """Valid and invalid calls, and a paragraph that is split into chunks."""
    async with sidecar.connected() as stub:
        await ask_batch(stub, [*paragraphs(20, longest=20), ""])
        await ask(stub, " ".join(["letter"] * 200))
        for text in ("", "again"):
            with suppress(grpc.aio.AioRpcError):
                await ask(stub, text, 99 if text else 0)


def summed(lines: list[StatsDMetric], name: str, *tags: str) -> int:
    """Value of a counter over all series with these tags."""
    return sum(count for (counter, found), count in sum_counters(lines).items() if counter == name and set(tags) <= set(found))


async def test_prometheus_and_datadog_get_the_documented_metrics(pod: Pod, launch: Launcher) -> None:
    page, values = documented(), documented_values()
    with udp_agent() as agent:
        sidecar = launch.sidecar(pod.base, pod.model_server.target, f"--dogstatsd={agent.address}").until_serving()
        await send_calls(sidecar)
        exposed = list(text_string_to_metric_families(sidecar.metrics_text()))
        sidecar.signal(signal.SIGTERM)
        assert await asyncio.to_thread(sidecar.wait) == 0
        lines = agent.metrics()

    families = {_full_name(family): family for family in exposed if not family.name.startswith("process_")}
    assert set(families) == {metric.name for metric in (*CATALOGUE, *TELEMETRY)}
    for name, family in families.items():
        row = page[name]
        assert (family.type, family.documentation) == ("gauge" if row.type == "info" else row.type, row.meaning)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == row.labels
            assert all(value in values.get(label, {value}) for label, value in sample.labels.items())

    short = {name.removesuffix("_total"): row for name, row in page.items()}
    for line in lines:
        row = short[line.name]
        tags = dict(tag.split(":", 1) for tag in line.tags)
        assert (line.type, set(tags)) == (LETTERS[row.type], set(row.labels))
        assert all(value in values.get(label, {value}) for label, value in tags.items())
    used = {name for name, family in families.items() if any(sample.value for sample in family.samples)}
    assert {name.removesuffix("_total") for name in used} <= {line.name for line in lines}


async def test_a_drain_loses_no_metrics(pod: Pod, launch: Launcher, tmp_path: Path) -> None:
    texts = paragraphs(8)
    with unix_agent(tmp_path) as agent:
        sidecar = launch.sidecar(pod.base, pod.model_server.target, f"--dogstatsd={agent.address}").until_serving()
        async with sidecar.connected() as stub:
            with pod.model_server.paused():
                calls = [asyncio.create_task(ask_batch(stub, texts)) for _ in range(CALLS)]
                await wait_for_calls(sidecar, ClassifyBatch=CALLS)
                sidecar.signal(signal.SIGTERM)
                await asyncio.to_thread(sidecar.until, lambda: '"draining"' in sidecar.log, "the sidecar drains")
            await asyncio.gather(*calls)
        assert await asyncio.to_thread(sidecar.wait) == 0
        lines = agent.metrics()
    batch = "grpc_method:ClassifyBatch"
    assert summed(lines, "grpc_server_started", batch) == summed(lines, "grpc_server_handled", batch, "grpc_code:OK") == CALLS
    assert summed(lines, "undertone_paragraphs", "code:OK") == CALLS * len(texts)
    assert summed(lines, "grpc_client_started") == summed(lines, "grpc_client_handled")
    waits = [line for line in lines if line.name == "undertone_queue_seconds"]
    # Many samples are sent at a rate below 1. The probability of such a deviation is one in ten
    # thousand.
    assert 0.5 < sum(1 / line.rate for line in waits) / (CALLS * len(texts)) < 1.5


async def test_an_agent_that_does_not_read_does_not_affect_calls(pod: Pod, launch: Launcher, tmp_path: Path) -> None:
    texts = paragraphs(32)
    with unix_agent(tmp_path, reading=False) as agent:
        sidecar = launch.sidecar(pod.base, pod.model_server.target, f"--dogstatsd={agent.address}").until_serving()
        async with sidecar.connected() as stub:
            # Until the socket of the agent is full, and packets are dropped.
            while not sidecar.metric("undertone_telemetry_errors_total", adapter="dogstatsd"):
                reply = await ask_batch(stub, texts)
                assert all(result.HasField("classification") for result in reply.results)
        sidecar.signal(signal.SIGTERM)
        assert await asyncio.to_thread(sidecar.wait) == 0


def _full_name(family: Metric) -> str:
    """The documented name. The parser removes the suffix of counters."""
    return f"{family.name}_total" if family.type == "counter" else str(family.name)
