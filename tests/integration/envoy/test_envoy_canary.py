"""A second model version behind the same Envoy: by weight, as a mirror, and by name."""

import asyncio
import itertools
import json
import math
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from undertone_bench.chart import Chart
from undertone_bench.processes import free_ports
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc
from undertone_sidecar.testing import LABELS, write_version

from tests.integration.support.callers import Stub, paragraphs
from tests.integration.support.envoy import Envoy, EnvoyLauncher, request
from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS, FakeModelServer, Sidecar, command

TEXTS = paragraphs(100, longest=8)
REPLACED_LABEL = 0
CANARY, BASELINE = (("undertone-model", "canary"),), (("undertone-model", "baseline"),)
BATCH = (("undertone-lane", "batch"),)
ERROR_RATE = 1e-6
"""Probability that a correct division of calls fails a test."""


@dataclass(frozen=True, slots=True)
class Version:
    """A sidecar with a model version, and its model server."""

    sidecar: Sidecar
    model_server: FakeModelServer

    @property
    def port(self) -> int:
        return int(self.sidecar.target.rpartition(":")[2])

    def answered(self) -> int:
        """Calls of Classify that were answered so far."""
        return int(self.sidecar.metric("grpc_server_handled_total", grpc_method="Classify", grpc_code="OK"))


@dataclass(frozen=True, slots=True)
class Versions:
    """Two versions. The labels of the canary differ for the texts with the replaced label."""

    baseline: Version
    canary: Version

    def values(self, **canary: Any) -> dict[str, Any]:
        """Chart values with the canary."""
        endpoints = [{"address": "127.0.0.1", "port": self.canary.port}]
        return {"canary": {"enabled": True, "model": {"version": 2}, "endpoints": endpoints, **canary}}


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory, chart: Chart) -> Iterator[Versions]:
    with ExitStack() as stack:
        started = []
        for version, flags in ((1, ()), (2, (f"--replaced-label={REPLACED_LABEL}",))):
            launch = stack.enter_context(EnvoyLauncher(chart))
            base = tmp_path_factory.mktemp("model") / "emotions"
            write_version(base, version)
            model_server = launch.fake_model_server(base.name, f"--version={version}", *flags)
            # A sidecar that is started again must have the same port.
            port = f"--port={free_ports(1)[0]}"
            sidecar = launch.sidecar(base, model_server.target, port, "--drain-delay-seconds=0").until_serving()
            started.append(Version(sidecar, model_server))
        yield Versions(*started)


def start(launch: EnvoyLauncher, versions: Versions, **canary: Any) -> Envoy:
    """An Envoy that uses both versions."""
    envoy = launch.envoy([versions.baseline.port], others=versions.values(**canary))
    envoy.until_used([versions.baseline.port])
    until_canary_is_healthy(envoy, 1)
    return envoy


def until_canary_is_healthy(envoy: Envoy, pods: int) -> None:
    name = "cluster.canary.membership_healthy"
    envoy.until(lambda: envoy.statistic(name) == pods, f"{pods} healthy pods of the canary")


async def ask(envoy: Envoy, texts: Sequence[str], metadata: Sequence[tuple[str, str]] = ()) -> list[Any]:
    """The replies to the texts. A failed call raises."""
    async with grpc.aio.insecure_channel(envoy.target) as channel:
        stub: Stub = classifier_pb2_grpc.ClassifierStub(channel)
        slots = asyncio.Semaphore(8)

        async def one(text: str) -> Any:
            async with slots:
                request = classifier_pb2.ClassifyRequest(text=text)
                return await stub.Classify(request, timeout=TIMEOUT_SECONDS, metadata=tuple(metadata))

        return await asyncio.gather(*map(one, texts))


def calls_in_log(envoy: Envoy) -> list[dict[str, Any]]:
    return [line for line in envoy.access_log() if line["route"] == "Classify"]


def versions_of(replies: Sequence[Any]) -> Counter[int]:
    return Counter(reply.model.version for reply in replies)


async def test_metadata_choose_the_version(launch_envoy: EnvoyLauncher, versions: Versions) -> None:
    envoy = start(launch_envoy, versions)
    assert versions_of(await ask(envoy, TEXTS[:20])) == {1: 20}
    assert versions_of(await ask(envoy, TEXTS[:20], BASELINE)) == {1: 20}
    assert versions_of(await ask(envoy, TEXTS[:20], CANARY)) == {2: 20}
    async with grpc.aio.insecure_channel(envoy.target) as channel:
        stub: Stub = classifier_pb2_grpc.ClassifierStub(channel)
        reply = await stub.GetModel(classifier_pb2.GetModelRequest(), timeout=TIMEOUT_SECONDS, metadata=CANARY)
        assert reply.contract.version == 2
    headers = {"content_type": "application/json", "undertone_model": "canary"}
    answer = request(envoy.api, "POST", "/v1/paragraphs:classify", b'{"text": "the rain"}', **headers)
    assert (answer.status, answer.json["model"]["version"]) == (200, "2")


async def test_undertone_compare_counts_planted_flips_behind_one_envoy(
    launch_envoy: EnvoyLauncher, versions: Versions, tmp_path: Path
) -> None:
    envoy = start(launch_envoy, versions, mirror=100)
    sample = tmp_path / "sample.jsonl"
    sample.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    arguments = [f"--baseline={envoy.target}", f"--candidate={envoy.target}", "--min-characters=0", "--json", str(sample)]
    replies = await ask(envoy, TEXTS, BASELINE), await ask(envoy, TEXTS, CANARY)
    flips = Counter((old.label, new.label) for old, new in zip(*replies, strict=True))
    planted = Counter({pair: count for pair, count in flips.items() if pair[0] != pair[1]})
    assert {old for old, _ in planted} == {LABELS[REPLACED_LABEL]}

    async def compare(*further: str) -> tuple[int, Any]:
        process = await asyncio.create_subprocess_exec(
            command("undertone"), "compare", *further, *arguments, stdout=subprocess.PIPE, env=ENVIRONMENT
        )
        output, _ = await process.communicate()
        return process.returncode or 0, json.loads(output)

    share = planted.total() / len(TEXTS)
    code, result = await compare(f"--max-flip-rate={share}")
    assert code == 0
    assert (result["compared"], result["flipped"]) == (len(TEXTS), planted.total())
    assert {(flip["before"], flip["after"]): flip["paragraphs"] for flip in result["flips"]} == planted
    assert [result[side]["model"]["version"] for side in ("baseline", "candidate")] == [1, 2]
    code, _ = await compare(f"--max-flip-rate={share - 0.005}")
    assert code == 4


async def test_calls_are_divided_by_weight(launch_envoy: EnvoyLauncher, versions: Versions) -> None:
    envoy = start(launch_envoy, versions, weight=40)
    texts = list(itertools.islice(itertools.cycle(TEXTS), 300))
    share = versions_of(await ask(envoy, texts))[2] / len(texts)
    # Hoeffding's bound.
    assert abs(share - 0.4) < math.sqrt(math.log(2 / ERROR_RATE) / (2 * len(texts)))
    assert versions_of(await ask(envoy, TEXTS, BATCH)) == {1: 100}
    assert versions_of(await ask(envoy, TEXTS, BASELINE)) == {1: 100}


async def test_callers_of_a_failing_canary_get_answers(launch_envoy: EnvoyLauncher, versions: Versions) -> None:
    envoy = start(launch_envoy, versions, weight=100)
    assert versions_of(await ask(envoy, TEXTS[:20])) == {2: 20}
    versions.canary.sidecar.kill()
    try:
        # At first, Envoy repeats calls that the canary failed. Then, the health check has failed.
        assert versions_of(await ask(envoy, TEXTS)) == {1: 100}
        await asyncio.to_thread(until_canary_is_healthy, envoy, 0)
        assert versions_of(await ask(envoy, TEXTS)) == {1: 100}
    finally:
        versions.canary.sidecar.start()
        await asyncio.to_thread(until_canary_is_healthy, envoy, 1)


async def test_a_mirrored_call_is_answered_by_the_baseline_only(launch_envoy: EnvoyLauncher, versions: Versions) -> None:
    envoy = start(launch_envoy, versions, mirror=100)
    baseline, canary = versions.baseline.answered(), versions.canary.answered()
    replies = await ask(envoy, TEXTS)
    assert versions_of(replies) == {1: 100}
    received = versions.canary.sidecar
    await asyncio.to_thread(received.until, lambda: versions.canary.answered() == canary + 100, "the canary has all calls")
    assert versions.baseline.answered() == baseline + 100
    # Neither the access log nor the metrics of callers count the copies.
    assert envoy.statistic("http.api.downstream_rq_completed") == 100
    await asyncio.to_thread(envoy.until, lambda: len(calls_in_log(envoy)) >= 100, "the access log has the calls")
    assert Counter(line["cluster"] for line in calls_in_log(envoy)) == {"sidecars": 100}
    # The comparison of the two versions is not mirrored.
    await ask(envoy, TEXTS, BASELINE)
    assert envoy.statistic("cluster.canary.upstream_rq_total") == 100

    # Callers do not wait for a canary that hangs.
    with versions.canary.sidecar.paused():
        assert versions_of(await ask(envoy, TEXTS)) == {1: 100}
    await asyncio.to_thread(until_canary_is_healthy, envoy, 1)

    # A killed canary changes nothing.
    versions.canary.sidecar.kill()
    try:
        assert versions_of(await ask(envoy, TEXTS)) == {1: 100}
    finally:
        versions.canary.sidecar.start()
        await asyncio.to_thread(until_canary_is_healthy, envoy, 1)
