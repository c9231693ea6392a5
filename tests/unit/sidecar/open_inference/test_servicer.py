"""The service over a real socket."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
from undertone_protos.inference import open_inference_pb2, open_inference_pb2_grpc
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.open_inference.raw_bytes import pack, unpack
from undertone_sidecar.testing import LABELS, Pod, running_pod, write_version

Request = open_inference_pb2.ModelInferRequest
Response = open_inference_pb2.ModelInferResponse

LONG = "The rain had stopped, and she laughed at last. " * 8
TEXTS = ("rain", "the door was open", LONG, "home at last")
DTYPES = {"FP32": "<f4", "UINT32": "<u4", "BOOL": "?"}
ROWS = ["probabilities", "label", "tokens", "truncated", "chunks", "flags"]
SETTINGS: dict[str, Any] = {"max_paragraph_chunks": 16, "max_batch_paragraphs": 8}


@pytest.fixture
async def pod(base: Path) -> AsyncIterator[Pod]:
    async with running_pod(base, **SETTINGS) as started:
        yield started


def stub_of(pod: Pod) -> "open_inference_pb2_grpc.GRPCInferenceServiceAsyncStub":
    return open_inference_pb2_grpc.GRPCInferenceServiceStub(pod.channel)


def infer_request(
    texts: Sequence[str], *, raw: bool = False, ids: Sequence[str] = (), outputs: Sequence[str] = (), **parameters: str
) -> Request:
    columns = {name: [value.encode() for value in values] for name, values in (("text", texts), ("id", ids)) if values}
    request = Request(model_name="emotions", outputs=[Request.InferRequestedOutputTensor(name=name) for name in outputs])
    for name, elements in columns.items():
        tensor = request.inputs.add(name=name, datatype="BYTES", shape=[len(elements)])
        if raw:
            request.raw_input_contents.append(pack(elements))
        else:
            tensor.contents.bytes_contents.extend(elements)
    for name, value in parameters.items():
        request.parameters[name].string_param = value
    return request


def tensors(response: Response) -> dict[str, Any]:
    """The outputs as lists in their shape, by name."""
    values = {}
    for index, output in enumerate(response.outputs):
        size = int(np.prod(output.shape))
        if not response.raw_output_contents:
            ((_, elements),) = output.contents.ListFields()
            flat = np.array(elements)
        elif output.datatype == "BYTES":
            flat = np.array(unpack(response.raw_output_contents[index], size, output.name), dtype=object)
        else:
            flat = np.frombuffer(response.raw_output_contents[index], DTYPES[output.datatype])
        values[output.name] = flat.reshape(output.shape).tolist()
    return values


async def assert_equal_to_classify(pod: Pod, texts: Sequence[str], policy: str) -> None:
    policy_number = classifier_pb2.OverlengthPolicy.Value(policy)
    for raw in (False, True):
        for batch in (*([text] for text in texts), texts):
            paragraphs = [classifier_pb2.Paragraph(text=text) for text in batch]
            expected = await pod.stub.ClassifyBatch(
                classifier_pb2.ClassifyBatchRequest(paragraphs=paragraphs, overlength_policy=policy_number)
            )
            found = tensors(await stub_of(pod).ModelInfer(infer_request(batch, raw=raw, overlength_policy=policy)))
            results = [result.classification for result in expected.results]
            # Equal up to the rounding of the model server, which depends on the batch.
            for row, result in zip(found["probabilities"], results, strict=True):
                assert row == pytest.approx(list(result.probabilities), abs=1e-6)
            assert [label.decode() for label in found["label"]] == [expected.labels[result.label_index] for result in results]
            for name in ("tokens", "truncated", "chunks"):
                assert found[name] == [getattr(result, name) for result in results]
            if "above_threshold" in found:
                indexes = [np.nonzero(row)[0].tolist() for row in found["above_threshold"]]
                assert indexes == [list(result.label_indexes_above_threshold) for result in results]


@pytest.mark.parametrize("policy", ["CHUNK_MEAN", "CHUNK_MAX", "TRUNCATE"])
async def test_answers_equal_those_of_classify(pod: Pod, policy: str) -> None:
    await assert_equal_to_classify(pod, TEXTS, policy)


async def test_a_multi_label_model_says_which_labels_reach_their_threshold(tmp_path: Path) -> None:
    write_version(tmp_path / "emotions", 1, labels=("joy", "fear", "anger"), thresholds=(0.5, 0.1, 0.9))
    async with running_pod(tmp_path / "emotions", labels=3, multi_label=True, **SETTINGS) as pod:
        await assert_equal_to_classify(pod, TEXTS, "CHUNK_MEAN")
        metadata = await stub_of(pod).ModelMetadata(open_inference_pb2.ModelMetadataRequest(name="emotions"))
        assert ("above_threshold", "BOOL", [-1, 3]) in [(t.name, t.datatype, list(t.shape)) for t in metadata.outputs]


async def test_health_and_metadata(pod: Pod) -> None:
    stub = stub_of(pod)
    assert (await stub.ServerLive(open_inference_pb2.ServerLiveRequest())).live
    assert (await stub.ServerReady(open_inference_pb2.ServerReadyRequest())).ready
    for version in ("", "1"):
        assert (await stub.ModelReady(open_inference_pb2.ModelReadyRequest(name="emotions", version=version))).ready
    server = await stub.ServerMetadata(open_inference_pb2.ServerMetadataRequest())
    assert (server.name, list(server.extensions)) == ("undertone", ["binary_tensor_data"])
    metadata = await stub.ModelMetadata(open_inference_pb2.ModelMetadataRequest(name="emotions"))
    assert (metadata.name, list(metadata.versions)) == ("emotions", ["1"])
    assert [(t.name, t.datatype, list(t.shape)) for t in metadata.inputs] == [("text", "BYTES", [-1]), ("id", "BYTES", [-1])]
    # The answer has the tensors that the metadata announces.
    announced = [(t.name, t.datatype, [2 if size == -1 else size for size in t.shape]) for t in metadata.outputs]
    names = [name for name, _, _ in announced]
    response = await stub.ModelInfer(infer_request(["rain", "home"], outputs=names))
    assert [(t.name, t.datatype, list(t.shape)) for t in response.outputs] == announced
    assert tensors(response)["labels"] == [label.encode() for label in LABELS]
    assert tensors(response)["id"] == [b"", b""]


async def test_requested_outputs_are_returned_in_their_order(pod: Pod) -> None:
    stub = stub_of(pod)
    request = infer_request(["rain", "home"], raw=True, ids=["a", "b"])
    request.id, request.model_version = "request 7", "1"
    default = await stub.ModelInfer(request)
    assert (default.model_name, default.model_version, default.id) == ("emotions", "1", "request 7")
    assert [output.name for output in default.outputs] == [*ROWS, "id"]
    assert tensors(default)["id"] == [b"a", b"b"]
    assert [o.name for o in (await stub.ModelInfer(infer_request(["rain"]))).outputs] == ROWS
    some = await stub.ModelInfer(infer_request(["rain"], outputs=["label", "probabilities"]))
    assert [output.name for output in some.outputs] == ["label", "probabilities"]


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (Request(model_name="sentiment"), "NOT_FOUND", "the model 'sentiment' is not served: call the model 'emotions'"),
        (
            Request(model_name="emotions", model_version="2"),
            "NOT_FOUND",
            "version '2' of the model 'emotions' is not served: call version 1, or leave the version out",
        ),
        (
            infer_request(["rain"], outputs=["above_threshold"]),
            "INVALID_ARGUMENT",
            "the output 'above_threshold' does not exist",
        ),
        (infer_request(["rain", " "]), "INVALID_ARGUMENT", "paragraph 1: text is empty or white space only"),
        (
            infer_request(["rain", "home", LONG], overlength_policy="REJECT"),
            "INVALID_ARGUMENT",
            "paragraph 2: text has 88 tokens without special tokens",
        ),
        (infer_request(["rain"] * 9), "INVALID_ARGUMENT", "the batch has 9 paragraphs; the limit is 8"),
        (infer_request(["rain"], lane="fast"), "INVALID_ARGUMENT", "the parameter lane is 'fast'"),
    ],
)
async def test_refusals(pod: Pod, request_: Request, code: str, message: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub_of(pod).ModelInfer(request_)
    assert caught.value.code().name == code
    assert message in (caught.value.details() or "")


async def test_the_timeout_is_a_deadline(pod: Pod) -> None:
    request = infer_request(["rain"])
    request.parameters["timeout"].int64_param = 1
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub_of(pod).ModelInfer(request)
    assert caught.value.code() in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}


async def test_without_a_model_the_server_is_live_and_not_ready(base: Path) -> None:
    async with running_pod(base, ready=False) as pod:
        stub = stub_of(pod)
        assert (await stub.ServerLive(open_inference_pb2.ServerLiveRequest())).live
        assert not (await stub.ServerReady(open_inference_pb2.ServerReadyRequest())).ready
        assert not (await stub.ModelReady(open_inference_pb2.ModelReadyRequest(name="emotions", version="7"))).ready
        for call in (
            stub.ModelMetadata(open_inference_pb2.ModelMetadataRequest(name="emotions")),
            stub.ModelInfer(infer_request(["rain"])),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        for method in (stub.ModelReady, stub.ModelMetadata):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await method(open_inference_pb2.ModelReadyRequest(name="sentiment"))  # type: ignore[arg-type]
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
