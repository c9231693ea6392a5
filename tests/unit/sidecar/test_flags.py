"""Flags of foreign and unreadable texts, over real sockets."""

import json
from pathlib import Path

import numpy as np
import pytest
from undertone_protos.inference import open_inference_pb2, open_inference_pb2_grpc
from undertone_protos.v1 import classifier_pb2, contract_pb2
from undertone_sidecar.errors import ContractError
from undertone_sidecar.flags import Flagger
from undertone_sidecar.testing import running_pod, write_version
from undertone_sidecar.testing.pod import Pod

LANGUAGE, UNREADABLE = classifier_pb2.FLAG_LANGUAGE, classifier_pb2.FLAG_UNREADABLE
THRESHOLDS = contract_pb2.FlagThresholds(
    languages=["en"],
    language_margin=2.7,
    tokens_per_character=0.85,
    usual_tokens_per_character=0.3,
    unknown_tokens=0.5,
)
NORMAL = "The rain had stopped, and she laughed at last."
FOREIGN = "Als sie die Tür öffnete, stand niemand davor."
UNKNOWN = "the 𒀀 𒀁 𒀂"
GARBLED = "xqzv kjwq pzvx " * 20
"""The tiny tokenizer has one token for each of its letters."""
LONG = NORMAL * 20
TEXTS = {NORMAL: [], FOREIGN: [LANGUAGE], UNKNOWN: [LANGUAGE, UNREADABLE], GARBLED: [LANGUAGE, UNREADABLE], LONG: []}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "emotions"
    write_version(folder, 1, flag_thresholds=THRESHOLDS)
    return folder


async def batch_flags(pod: Pod) -> list[list[int]]:
    paragraphs = [classifier_pb2.Paragraph(text=text) for text in ("", *TEXTS)]
    reply = await pod.stub.ClassifyBatch(classifier_pb2.ClassifyBatchRequest(paragraphs=paragraphs))
    assert reply.results[0].HasField("error")
    return [list(result.classification.flags) for result in reply.results[1:]]


async def test_a_text_has_the_same_flags_alone_and_in_a_batch(base: Path) -> None:
    async with running_pod(base) as pod:
        assert await batch_flags(pod) == list(TEXTS.values())
        for text, flags in TEXTS.items():
            alone = await pod.stub.Classify(classifier_pb2.ClassifyRequest(text=text))
            assert list(alone.flags) == flags
            assert alone.chunks > 1 or text not in (LONG, GARBLED)


async def test_flags_are_counted_by_their_names(base: Path) -> None:
    async with running_pod(base) as pod:
        await batch_flags(pod)
        metrics = await pod.metrics()
    assert 'undertone_flagged_paragraphs_total{flag="language"} 3.0' in metrics
    assert 'undertone_flagged_paragraphs_total{flag="unreadable"} 2.0' in metrics


async def test_the_open_inference_protocol_has_an_output_of_flags(base: Path) -> None:
    async with running_pod(base) as pod:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(pod.channel)
        request = open_inference_pb2.ModelInferRequest(model_name="emotions")
        tensor = request.inputs.add(name="text", datatype="BYTES", shape=[3])
        tensor.contents.bytes_contents.extend(text.encode() for text in (NORMAL, FOREIGN, GARBLED))
        request.outputs.add(name="flags")
        reply = await stub.ModelInfer(request)
        (output,) = reply.outputs
        assert list(output.contents.bytes_contents) == [b"", b"language", b"language,unreadable"]


async def test_a_contract_of_an_earlier_release_sets_no_flags(tmp_path: Path) -> None:
    folder = tmp_path / "emotions"
    written = write_version(folder, 1)
    assert "flag_thresholds" not in json.loads((written / "contract.json").read_text())
    async with running_pod(folder) as pod:
        assert await batch_flags(pod) == [[]] * len(TEXTS)


def test_without_languages_only_unreadable_texts_have_a_flag() -> None:
    thresholds = contract_pb2.FlagThresholds(tokens_per_character=0.85, usual_tokens_per_character=0.3)
    flagger = Flagger.of(thresholds, None)
    assert flagger.flags(FOREIGN, np.zeros(10, np.int32)) == ()
    assert flagger.flags(FOREIGN, np.zeros(200, np.int32)) == (UNREADABLE,)


def test_a_text_in_any_of_the_languages_is_not_foreign() -> None:
    both = contract_pb2.FlagThresholds(languages=["de", "en"], language_margin=2.7)
    flagger = Flagger.of(both, None)
    assert [flagger.flags(text, np.zeros(1, np.int32)) for text in (NORMAL, FOREIGN)] == [(), ()]
    assert flagger.flags("Quand elle ouvrit la porte, il n'y avait personne.", np.zeros(1, np.int32)) == (LANGUAGE,)


def test_text_without_features_is_not_foreign() -> None:
    flagger = Flagger.of(THRESHOLDS, None)
    assert flagger.flags("7", np.zeros(1, np.int32)) == ()
    assert flagger.flags("", np.zeros(0, np.int32)) == ()
    assert flagger.flags("\ud800", np.zeros(1, np.int32)) in ((), (LANGUAGE,))


def test_an_unknown_language_is_an_error_of_the_contract() -> None:
    with pytest.raises(ContractError, match="'xx'"):
        Flagger.of(contract_pb2.FlagThresholds(languages=["en", "xx"]), None)
