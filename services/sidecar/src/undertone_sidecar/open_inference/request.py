"""Reads the paragraphs of a ModelInferRequest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from undertone_protos.inference import open_inference_pb2

from undertone_sidecar.answers import Paragraph
from undertone_sidecar.errors import ParagraphError, RequestError
from undertone_sidecar.open_inference import raw_bytes
from undertone_sidecar.open_inference.parameters import InferOptions, check_names, shown
from undertone_sidecar.request_limits import MAX_ID_CHARACTERS, RequestLimits

TEXT: Final = "text"
ID: Final = "id"
BYTES: Final = "BYTES"

_Tensor = open_inference_pb2.ModelInferRequest.InferInputTensor


@dataclass(frozen=True, slots=True)
class InferRequest:
    """The meaning of a request.

    Attributes:
        paragraphs: The paragraphs, with an empty id where the request has none.
        has_ids: Whether the request has the input id.
        outputs: Names of the requested outputs. Empty for the default outputs.
        is_raw: Whether the contents are raw, so that the response has raw contents, too.
        options: The parameters.
    """

    paragraphs: Sequence[Paragraph]
    has_ids: bool
    outputs: Sequence[str]
    is_raw: bool
    options: InferOptions


def read_request(request: open_inference_pb2.ModelInferRequest, limits: RequestLimits) -> InferRequest:
    """Checks a request, except for the names of the model and of the outputs.

    Raises:
        RequestError: A tensor or a parameter is invalid, or the request exceeds the limits.
        ParagraphError: A paragraph is invalid. The message begins with its index.
    """
    if len(request.id) > MAX_ID_CHARACTERS:
        raise RequestError(
            f"the request's id has {len(request.id)} characters; the limit is {MAX_ID_CHARACTERS}: use a shorter id"
        )
    options = InferOptions.read(request.parameters)
    outputs = _requested_outputs(request)
    elements = _elements(request, limits)
    if TEXT not in elements:
        raise RequestError(f"the input {TEXT!r} is missing: send it with the datatype {BYTES} and the shape [n]")
    texts, ids = elements[TEXT], elements.get(ID)
    if ids is not None and len(ids) != len(texts):
        raise RequestError(
            f"the input {ID!r} has {len(ids)} elements, but the input {TEXT!r} has {len(texts)}: send one id for each text"
        )
    limits.check_batch(len(texts), sum(map(len, texts)))
    paragraphs = [
        Paragraph(text, identifier)
        for text, identifier in zip(_decoded(TEXT, texts), _decoded(ID, ids or [b""] * len(texts)), strict=True)
    ]
    for index, paragraph in enumerate(paragraphs):
        try:
            limits.check_paragraph(paragraph.text, paragraph.id)
        except ParagraphError as error:
            raise ParagraphError(f"{prefix(index)}{error}") from None
    return InferRequest(paragraphs, ids is not None, outputs, bool(request.raw_input_contents), options)


def prefix(index: int) -> str:
    """The beginning of the message about the paragraph with this index."""
    return f"paragraph {index}: "


def _requested_outputs(request: open_inference_pb2.ModelInferRequest) -> list[str]:
    names: dict[str, None] = {}
    for output in request.outputs:
        if output.name in names:
            raise RequestError(f"the output {shown(output.name)} is requested more than once: request it once")
        names[output.name] = None
        if output.parameters:
            check_names(output.parameters, f"output {shown(output.name)}")
    return list(names)


def _elements(request: open_inference_pb2.ModelInferRequest, limits: RequestLimits) -> Mapping[str, list[bytes]]:
    """The elements of each input, by its name."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise RequestError(
            f"raw_input_contents has {len(raw)} elements, but the request has {len(request.inputs)} inputs: "
            "send one for each input, or none"
        )
    elements: dict[str, list[bytes]] = {}
    for index, tensor in enumerate(request.inputs):
        if tensor.name not in {TEXT, ID}:
            raise RequestError(f"the input {shown(tensor.name)} is unknown: send {TEXT!r}, and {ID!r} if wanted")
        if tensor.name in elements:
            raise RequestError(f"the input {tensor.name!r} is there more than once: send it once")
        check_names(tensor.parameters, f"input {tensor.name!r}")
        count = _count(tensor)
        # Before the elements are read.
        limits.check_batch(count, 0)
        elements[tensor.name] = _raw_elements(tensor, raw[index], count) if raw else _typed_elements(tensor, count)
    return elements


def _count(tensor: _Tensor) -> int:
    """The number of elements by the shape of an input."""
    if tensor.datatype != BYTES:
        raise RequestError(f"the input {tensor.name!r} has the datatype {shown(tensor.datatype)}: send {BYTES}")
    # The length first: the message would contain the whole shape.
    if len(tensor.shape) not in {1, 2}:
        raise RequestError(f"the shape of the input {tensor.name!r} has {len(tensor.shape)} dimensions: send [n] or [n, 1]")
    if tensor.shape[0] < 0 or tuple(tensor.shape[1:]) not in {(), (1,)}:
        raise RequestError(f"the input {tensor.name!r} has the shape {list(tensor.shape)}: send [n] or [n, 1]")
    return tensor.shape[0]


def _raw_elements(tensor: _Tensor, data: bytes, count: int) -> list[bytes]:
    if tensor.contents.ByteSize():
        raise RequestError(
            f"the input {tensor.name!r} has contents, and the request has raw_input_contents: send one of the two"
        )
    return raw_bytes.unpack(data, count, tensor.name)


def _typed_elements(tensor: _Tensor, count: int) -> list[bytes]:
    for field, _ in tensor.contents.ListFields():
        if field.name != "bytes_contents":
            raise RequestError(f"the input {tensor.name!r} has {field.name}: send bytes_contents only")
    elements = list(tensor.contents.bytes_contents)
    if len(elements) != count:
        raise RequestError(
            f"the input {tensor.name!r} has {len(elements)} elements in bytes_contents, but its shape has {count}: "
            "send as many elements as the shape has"
        )
    return elements


def _decoded(name: str, elements: Sequence[bytes]) -> list[str]:
    strings = []
    for index, element in enumerate(elements):
        try:
            strings.append(element.decode())
        except UnicodeDecodeError as error:
            raise RequestError(
                f"{prefix(index)}the input {name!r} is not UTF-8 at byte {error.start}: send all strings in UTF-8"
            ) from None
    return strings
