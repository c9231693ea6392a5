"""Envoy in front of a fleet that is scaled to zero: answers to readers, and a job that waits."""

import asyncio
import json
import os
from pathlib import Path

import grpc
import pytest
from undertone_bench.chart import Chart
from undertone_bench.cluster.dns import DnsServer, find_coredns
from undertone_client import Settings
from undertone_client.jobs import wait_for_service
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc, contract_pb2

from tests.chart.support.combinations import COMBINATIONS
from tests.integration.support.envoy import EnvoyLauncher, request
from tests.integration.support.scripted_pod import Context, ScriptedPod, succeed

pytestmark = pytest.mark.skipif(find_coredns() is None, reason="coredns is not on the PATH; .ci/coredns builds it")

NAME = "spring-undertone-inference.reading.svc.cluster.local"
PORT = 50051
HOST = f"127.{os.getpid() % 250 + 1}.251.1"
ASLEEP = "no pod runs: the fleet is scaled to zero or starts at the moment. A job or a schedule starts it. Retry later"
SCALE_TO_ZERO = {name: COMBINATIONS["scale to zero"][name] for name in ("autoscaling", "telemetry", "networkPolicy")}


class Pod(ScriptedPod):
    """A pod with a model."""

    async def GetModel(self, request: classifier_pb2.GetModelRequest, context: Context) -> classifier_pb2.GetModelResponse:  # noqa: N802
        contract = contract_pb2.ModelContract(
            name="emotions", version=1, precision="fp32", labels=["joy", "fear"], max_tokens=512
        )
        return classifier_pb2.GetModelResponse(contract=contract)


async def test_readers_get_a_clear_answer_and_a_job_waits_for_the_first_pod(
    chart: Chart, launch_envoy: EnvoyLauncher, tmp_path: Path
) -> None:
    dns = DnsServer(tmp_path, NAME, cache_seconds=1)
    dns.publish([])
    dns.start()
    try:
        envoy = await asyncio.to_thread(launch_envoy.envoy, [], dns_port=dns.port, dnsRefreshSeconds=0.2, others=SCALE_TO_ZERO)
        # A new Envoy becomes ready though no pod runs.
        container = chart.render(SCALE_TO_ZERO).one("Deployment", "-envoy")["spec"]["template"]["spec"]["containers"][0]
        assert container["startupProbe"]["httpGet"]["path"] == container["readinessProbe"]["httpGet"]["path"] == "/ready"

        body = b'{"text": "rain"}'
        answer = await asyncio.to_thread(
            request, envoy.api, "POST", "/v1/paragraphs:classify", body, content_type="application/json"
        )
        assert (answer.status, answer.headers["retry-after"]) == (503, "30")
        assert answer.json == {"code": 14, "message": ASLEEP, "details": []}

        async with grpc.aio.insecure_channel(envoy.target) as channel:
            stub = classifier_pb2_grpc.ClassifierStub(channel)
            call = stub.Classify(classifier_pb2.ClassifyRequest(text="rain"))
            assert (await call.code(), await call.details()) == (grpc.StatusCode.UNAVAILABLE, ASLEEP)
            trailers = {**dict(await call.initial_metadata()), **dict(await call.trailing_metadata())}
            assert trailers["grpc-retry-pushback-ms"] == "5000"

            reports: list[str] = []
            first_report = asyncio.Event()

            def report(line: str) -> None:
                reports.append(line)
                first_report.set()

            async with asyncio.timeout(60):
                waiting = asyncio.create_task(wait_for_service(envoy.target, Settings(), report))
                await first_report.wait()
                assert ASLEEP in reports[0]
                async with Pod(succeed, host=HOST, port=PORT):
                    dns.publish([HOST])  # KEDA has started the pod
                    assert (await waiting).labels == ("joy", "fear")
                    assert (await stub.Classify(classifier_pb2.ClassifyRequest(text="rain", id="7"))).id == "7"
    finally:
        dns.stop()


def test_other_fleets_keep_envoys_own_answer(chart: Chart) -> None:
    config = chart.render().one("ConfigMap", "-envoy")["data"]["envoy.yaml"]
    assert json.dumps(ASLEEP) not in config
