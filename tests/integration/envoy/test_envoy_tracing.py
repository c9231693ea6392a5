"""A trace from the command through Envoy and the sidecar to TF Serving, as a collector gets it."""

import asyncio
import json
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import grpc
import pytest
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc
from undertone_sidecar.testing import FakeTFServing, write_version
from undertone_telemetry.testing.otlp import ExportedSpan, FakeCollector, trace_collector

from tests.integration.support.envoy import EnvoyLauncher, request
from tests.integration.support.processes import ENVIRONMENT, command

TEXT: Final = "Quinqueremes rowing homewards"
CLASSIFY: Final = "undertone.v1.Classifier/Classify"
PREDICT: Final = "tensorflow.serving.PredictionService/Predict"


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    with trace_collector() as collector:
        yield collector


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_version(tmp_path / "emotions", 1)
    return tmp_path / "emotions"


@pytest.fixture
async def model_server() -> AsyncIterator[tuple[FakeTFServing, str]]:
    """A fake model server in the test process, and its address."""
    server = FakeTFServing("emotions", 1)
    port = await server.start("localhost:0")
    yield server, f"localhost:{port}"
    await server.stop()


def classify(target: str, *flags: str) -> None:
    program = [command("undertone"), "classify", TEXT, f"--target={target}", *flags]
    subprocess.run(program, check=True, capture_output=True, env=ENVIRONMENT)


async def test_one_trace_contains_the_spans_of_all_processes(
    launch_envoy: EnvoyLauncher, collector: FakeCollector, base: Path, model_server: tuple[FakeTFServing, str]
) -> None:
    tf_serving, address = model_server
    flags = (f"--otlp-endpoint={collector.endpoint}", "--trace-sample=1")
    sidecar = launch_envoy.sidecar(base, address, *flags)
    await asyncio.to_thread(sidecar.until_serving)
    port = int(sidecar.target.rpartition(":")[2])
    traced = {
        "telemetry": {"otlp": {"endpoint": collector.endpoint, "sample": 1}},
        "networkPolicy": {"telemetry": [{}]},
    }
    envoy = await asyncio.to_thread(launch_envoy.envoy, [port], others=traced)
    await asyncio.to_thread(envoy.until_used, [port])

    assert (await asyncio.to_thread(request, envoy.api, "GET", f"/{TEXT.split()[0]}")).status == 404
    warm_up = len(tf_serving.metadata)
    await asyncio.to_thread(classify, envoy.target, *flags)
    # These callers do not trace, so their traces start in Envoy, which sends spans in groups of
    # five.
    tf_serving.fails = lambda _: grpc.StatusCode.INTERNAL
    async with grpc.aio.insecure_channel(envoy.target) as channel:
        stub: classifier_pb2_grpc.ClassifierAsyncStub = classifier_pb2_grpc.ClassifierStub(channel)
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.Classify(classifier_pb2.ClassifyRequest(text=TEXT))
    sidecar.signal(signal.SIGTERM)  # Sends all spans.
    assert await asyncio.to_thread(sidecar.wait) == 0

    def enough(spans: list[ExportedSpan]) -> bool:
        sent = Counter(span.service for span in spans)
        return sent["undertone"] == 2 and sent["undertone-envoy"] >= 5 and sent["undertone-sidecar"] == 15

    spans = await asyncio.to_thread(collector.wait_for, enough)
    (call,) = (span for span in spans if span.name == "Classify")
    whole = [span for span in spans if span.trace == call.trace]
    (attempt,) = (span for span in whole if span.service == "undertone" and span.kind == "CLIENT")
    front, upstream = (
        next(span for span in whole if span.service == "undertone-envoy" and span.kind == kind) for kind in ("SERVER", "CLIENT")
    )
    server, tokenize, queue, batch, predict = (
        next(span for span in whole if span.service == "undertone-sidecar" and span.name == name)
        for name in (CLASSIFY, "tokenize", "queue", "predict", PREDICT)
    )
    assert len(whole) == 9
    parents = {span.id: span.parent for span in whole}
    assert parents == {
        call.id: "",
        attempt.id: call.id,
        front.id: attempt.id,
        upstream.id: front.id,
        server.id: upstream.id,
        tokenize.id: server.id,
        queue.id: server.id,
        batch.id: server.id,
        predict.id: batch.id,
    }
    assert (batch.links, queue.links) == ((server.id,), (batch.id,))
    assert (front.name, server.kind, predict.kind) == (CLASSIFY, "SERVER", "CLIENT")
    assert [span.attributes["rpc.response.status_code"] for span in (attempt, server, predict)] == ["OK", "OK", "OK"]
    assert batch.attributes["undertone.model.version"] == 1
    # The calls of the warm-up do not belong to a trace.
    assert not any("traceparent" in metadata for metadata in tf_serving.metadata[:warm_up])
    assert tf_serving.metadata[warm_up]["traceparent"].startswith(f"00-{call.trace}-{predict.id}-")

    assert not any(word in str(spans) for word in TEXT.split())
    envoy.signal(signal.SIGTERM)  # Writes the rest of its log.
    await asyncio.to_thread(envoy.wait)
    assert next(line["trace_id"] for line in envoy.access_log() if line["route"] == "Classify") == call.trace
    failures = [json.loads(line) for line in sidecar.log.splitlines() if "batch failed" in line]
    others = {(span.trace, span.id) for span in spans if span.name == "predict" and span.trace != call.trace}
    assert {(line["trace_id"], line["span_id"]) for line in failures} == others
    assert len(others) == 2


async def test_nothing_is_sent_by_default(
    launch_envoy: EnvoyLauncher, collector: FakeCollector, base: Path, model_server: tuple[FakeTFServing, str]
) -> None:
    """Not even with a collector and a caller that traces."""
    tf_serving, address = model_server
    sidecar = launch_envoy.sidecar(base, address, f"--otlp-endpoint={collector.endpoint}")
    await asyncio.to_thread(sidecar.until_serving)
    await asyncio.to_thread(classify, sidecar.target, f"--otlp-endpoint={collector.endpoint}")
    async with sidecar.connected() as stub:
        traceparent = f"00-{'5' * 32}-{'7' * 16}-01"
        await stub.Classify(classifier_pb2.ClassifyRequest(text=TEXT), metadata=(("traceparent", traceparent),))
    sidecar.signal(signal.SIGTERM)
    assert await asyncio.to_thread(sidecar.wait) == 0
    assert collector.spans == []
    assert len(tf_serving.metadata) > 2
    assert not any("traceparent" in metadata for metadata in tf_serving.metadata)
