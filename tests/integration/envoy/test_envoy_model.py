"""A real pod behind Envoy, whose model server computes."""

import json

import grpc
import pytest
from undertone_protos.v1 import classifier_pb2_grpc

from tests.integration.conftest import Pod
from tests.integration.support.callers import TOLERANCE, Stub, answers_alone, ask_batch, paragraphs
from tests.integration.support.envoy import Envoy, EnvoyLauncher, request


@pytest.fixture
def pod_envoy(launch_envoy: EnvoyLauncher, pod: Pod) -> Envoy:
    """An Envoy whose only sidecar is that of the pod."""
    port = int(pod.sidecar.target.rpartition(":")[2])
    envoy = launch_envoy.envoy([port])
    envoy.until_used([port])
    return envoy


async def test_the_results_through_envoy_are_those_of_the_sidecar(pod_envoy: Envoy, pod: Pod) -> None:
    texts = paragraphs(8)
    async with pod.sidecar.connected() as stub:
        expected = await answers_alone(stub, texts)
    assert len({tuple(probabilities) for probabilities in expected.values()}) == len(texts)

    async with grpc.aio.insecure_channel(pod_envoy.target) as channel:
        balanced: Stub = classifier_pb2_grpc.ClassifierStub(channel)
        batch = await ask_batch(balanced, texts)
    for text, result in zip(texts, batch.results, strict=True):
        assert result.classification.probabilities == pytest.approx(expected[text], abs=TOLERANCE, rel=0)

    body = json.dumps({"text": texts[0]}).encode()
    answer = request(pod_envoy.api, "POST", "/v1/paragraphs:classify", body, Content_Type="application/json")
    assert answer.status == 200
    assert answer.json["probabilities"] == pytest.approx(list(expected[texts[0]]), abs=TOLERANCE, rel=0)
