from collections.abc import Callable

import pytest
from undertone_protos.inference import open_inference_pb2
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.errors import RequestError
from undertone_sidecar.message_limits import check_small, message_checks
from undertone_sidecar.request_limits import RequestLimits

LIMITS = RequestLimits(paragraph_bytes=65536, paragraph_characters=32768, batch_paragraphs=256, batch_bytes=1048576)
MEBIBYTE = 2**20


def check(method: str) -> Callable[[bytes], None]:
    return message_checks(LIMITS)[f"/undertone.v1.Classifier/{method}"]


def paragraph_field(content_bytes: int) -> bytes:
    """The start of a batch's paragraph of a given size, from 2 MiB to 256 MiB."""
    size = bytearray(b"\x0a")
    for _ in range(3):
        size.append(content_bytes & 0x7F | 0x80)
        content_bytes >>= 7
    return bytes(size) + bytes([content_bytes])


@pytest.mark.parametrize(
    ("method", "data", "message"),
    [
        ("ClassifyBatch", b"\x0a\x00" * MEBIBYTE, "more than 256 paragraphs"),
        ("ClassifyBatch", paragraph_field(2 * MEBIBYTE) + b"\x0a\x00" * MEBIBYTE, "repeated fields"),
        ("ClassifyBatch", b"\x78\x00" * MEBIBYTE, "repeated fields"),
        ("ClassifyBatch", paragraph_field(2 * MEBIBYTE) + b"\x0f\x00" * MEBIBYTE, "cannot be decoded"),
        ("Classify", b"\x0a\x00" * MEBIBYTE, "too many fields"),
    ],
)
def test_a_message_with_too_many_fields_is_refused_before_it_is_decoded(method: str, data: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        check(method)(data)


def test_the_texts_are_counted_before_the_message_is_decoded() -> None:
    paragraphs = [classifier_pb2.Paragraph(text="a" * 60_000, id="p") for _ in range(20)]
    with pytest.raises(RequestError, match="1200000 bytes in UTF-8; the limit is 1048576"):
        check("ClassifyBatch")(classifier_pb2.ClassifyBatchRequest(paragraphs=paragraphs).SerializeToString())
    with pytest.raises(RequestError, match="90000 bytes in UTF-8; the limit is 65536"):
        check("Classify")(classifier_pb2.ClassifyRequest(text="漢" * 30_000).SerializeToString())


def test_the_ids_are_counted_before_the_message_is_decoded() -> None:
    paragraphs = [classifier_pb2.Paragraph(text="rain", id="i" * 2000) for _ in range(256)]
    with pytest.raises(RequestError, match="512000 bytes in UTF-8; the limit for all ids of a call is 262144"):
        check("ClassifyBatch")(classifier_pb2.ClassifyBatchRequest(paragraphs=paragraphs).SerializeToString())
    with pytest.raises(RequestError, match="300000 bytes"):
        check("Classify")(classifier_pb2.ClassifyRequest(text="rain", id="i" * 300_000).SerializeToString())


def test_the_largest_valid_messages_pass() -> None:
    paragraphs = [classifier_pb2.Paragraph(text="a" * 4096, id="漢" * 256) for _ in range(256)]
    policy = classifier_pb2.OVERLENGTH_POLICY_TRUNCATE
    batch = classifier_pb2.ClassifyBatchRequest(paragraphs=paragraphs, overlength_policy=policy)
    check("ClassifyBatch")(batch.SerializeToString())
    request = classifier_pb2.ClassifyRequest(text="a" * 65536, id="漢" * 256, overlength_policy=policy)
    check("Classify")(request.SerializeToString())


def test_large_messages_of_other_methods_are_refused() -> None:
    check_small(b"a" * 100)
    with pytest.raises(RequestError, match="100000 bytes; the limit of this method is 32768"):
        check_small(b"a" * 100_000)


def infer_check(request: open_inference_pb2.ModelInferRequest) -> None:
    message_checks(LIMITS)["/inference.GRPCInferenceService/ModelInfer"](request.SerializeToString())


def test_the_largest_valid_tensors_pass() -> None:
    columns = {"text": [b"a" * 4096] * 256, "id": ["漢".encode() * 256] * 256}
    typed, raw = open_inference_pb2.ModelInferRequest(), open_inference_pb2.ModelInferRequest()
    for name, elements in columns.items():
        typed.inputs.add(name=name, datatype="BYTES", shape=[256], contents={"bytes_contents": elements})
        raw.inputs.add(name=name, datatype="BYTES", shape=[256])
        raw.raw_input_contents.append(b"".join(elements))
    infer_check(typed)
    infer_check(raw)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        ({"contents": {"bytes_contents": [b""] * MEBIBYTE}}, "more than 256 paragraphs, or too many fields"),
        ({"contents": {"bool_contents": [True] * MEBIBYTE}}, "another datatype than BYTES: send bytes_contents only"),
        ({"shape": [1] * MEBIBYTE}, "1048576 bytes; the limit is 4096: shorten"),
        ({"parameters": {str(number): {} for number in range(10_000)}}, "too many fields"),
    ],
)
def test_a_tensor_that_is_much_larger_when_decoded_is_refused(tensor: dict[str, object], message: str) -> None:
    inputs = [open_inference_pb2.ModelInferRequest.InferInputTensor(**tensor)]  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=message):
        infer_check(open_inference_pb2.ModelInferRequest(inputs=inputs))


def test_the_fields_of_requested_outputs_are_counted() -> None:
    parameters = {str(number): open_inference_pb2.InferParameter() for number in range(10_000)}
    outputs = [open_inference_pb2.ModelInferRequest.InferRequestedOutputTensor(parameters=parameters)]
    with pytest.raises(RequestError, match="too many fields"):
        infer_check(open_inference_pb2.ModelInferRequest(outputs=outputs))
