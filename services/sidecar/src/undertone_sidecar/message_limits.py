"""Checks of encoded requests, before they are decoded."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from undertone_protos.inference import open_inference_pb2
from undertone_protos.v1 import classifier_pb2

from undertone_sidecar.errors import UNDECODABLE, RequestError
from undertone_sidecar.request_limits import RequestLimits
from undertone_sidecar.wire_scan import FieldScanner, MalformedError, TooManyFieldsError

Check = Callable[[bytes], None]
"""Checks the bytes of a request. Raises RequestError."""

_SERVICE: Final[str] = classifier_pb2.DESCRIPTOR.services_by_name["Classifier"].full_name

_OPEN_INFERENCE: Final[str] = open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name

_UNCHECKED_BYTES: Final = 32 * 1024
"""Maximum size of a message that is decoded without a check. That takes less than 1 ms."""

_FIELDS_PER_PARAGRAPH: Final = 4
"""More fields than a paragraph has, and its own field in the batch."""

_OTHER_FIELDS: Final = 16

_TENSORS_PER_REQUEST: Final = 2
"""Inputs of the Open Inference Protocol with an element for each paragraph: text and id."""

_OTHER_INFER_FIELDS: Final = 256
_TENSOR_BYTES: Final = 4096
"""Maximum size of the name, the shape and the parameters of an input tensor."""

_TEXT: Final[int] = classifier_pb2.ClassifyRequest.TEXT_FIELD_NUMBER
_ID: Final[int] = classifier_pb2.ClassifyRequest.ID_FIELD_NUMBER
_PARAGRAPHS: Final[int] = classifier_pb2.ClassifyBatchRequest.PARAGRAPHS_FIELD_NUMBER
_PARAGRAPH_TEXT: Final[int] = classifier_pb2.Paragraph.TEXT_FIELD_NUMBER
_PARAGRAPH_ID: Final[int] = classifier_pb2.Paragraph.ID_FIELD_NUMBER

_INPUTS: Final[int] = open_inference_pb2.ModelInferRequest.INPUTS_FIELD_NUMBER
_OUTPUTS: Final[int] = open_inference_pb2.ModelInferRequest.OUTPUTS_FIELD_NUMBER
_CONTENTS: Final[int] = open_inference_pb2.ModelInferRequest.InferInputTensor.CONTENTS_FIELD_NUMBER
_BYTES_CONTENTS: Final[int] = open_inference_pb2.InferTensorContents.BYTES_CONTENTS_FIELD_NUMBER


def message_checks(limits: RequestLimits) -> Mapping[str, Check]:
    """The checks of the methods with large messages, by path. `check_small` is for all others."""

    def check_paragraph(data: bytes) -> None:
        if len(data) <= _UNCHECKED_BYTES:
            return
        with _refusals("the request has too many fields: send text, id and overlength_policy once each"):
            fields = FieldScanner(_OTHER_FIELDS).scan(data, 0, len(data))
        limits.check_text_bytes(sum(stop - start for number, start, stop in fields if number == _TEXT))
        limits.check_ids(sum(stop - start for number, start, stop in fields if number == _ID))

    def check_batch(data: bytes) -> None:
        if len(data) <= _UNCHECKED_BYTES:
            return
        maximum = limits.batch_paragraphs
        scanner = FieldScanner(_FIELDS_PER_PARAGRAPH * maximum + _OTHER_FIELDS)
        too_many = f"the batch has more than {maximum} paragraphs, or repeated fields; the limit is {maximum} paragraphs: "
        with _refusals(f"{too_many}send several smaller batches"):
            paragraphs = [field for field in scanner.scan(data, 0, len(data)) if field[0] == _PARAGRAPHS]
            limits.check_batch(len(paragraphs), 0)
            sizes: Counter[int] = Counter()
            for _, first, last in paragraphs:
                for number, start, stop in scanner.scan(data, first, last):
                    sizes[number] += stop - start
        limits.check_batch(len(paragraphs), sizes[_PARAGRAPH_TEXT])
        limits.check_ids(sizes[_PARAGRAPH_ID])

    def check_infer(data: bytes) -> None:
        if len(data) <= _UNCHECKED_BYTES:
            return
        maximum = limits.batch_paragraphs
        scanner = FieldScanner(_TENSORS_PER_REQUEST * maximum + _OTHER_INFER_FIELDS)
        too_many = f"the request has more than {maximum} paragraphs, or too many fields; the limit is {maximum} paragraphs: "
        with _refusals(f"{too_many}send several smaller requests"):
            for number, start, stop in scanner.scan(data, 0, len(data)):
                if number == _OUTPUTS:
                    scanner.scan(data, start, stop)
                elif number == _INPUTS:
                    _check_tensor(scanner, data, start, stop)

    return {
        f"/{_SERVICE}/Classify": check_paragraph,
        f"/{_SERVICE}/ClassifyBatch": check_batch,
        f"/{_OPEN_INFERENCE}/ModelInfer": check_infer,
    }


def check_small(data: bytes) -> None:
    """Refuses a large message of a method whose valid messages are small."""
    if len(data) > _UNCHECKED_BYTES:
        raise RequestError(f"the request has {len(data)} bytes; the limit of this method is {_UNCHECKED_BYTES}: shorten it")


def _check_tensor(scanner: FieldScanner, data: bytes, start: int, stop: int) -> None:
    """Refuses an input tensor whose decoded form is much larger than its encoded form."""
    other_bytes = 0
    for number, first, last in scanner.scan(data, start, stop):
        if number != _CONTENTS:
            other_bytes += last - first
        elif any(field != _BYTES_CONTENTS for field, _, _ in scanner.scan(data, first, last)):
            raise RequestError("an input has contents of another datatype than BYTES: send bytes_contents only")
    if other_bytes > _TENSOR_BYTES:
        raise RequestError(
            f"the name, the shape and the parameters of an input have {other_bytes} bytes; "
            f"the limit is {_TENSOR_BYTES}: shorten them"
        )


@contextmanager
def _refusals(too_many_fields: str) -> Iterator[None]:
    try:
        yield
    except TooManyFieldsError:
        raise RequestError(too_many_fields) from None
    except MalformedError:
        raise RequestError(UNDECODABLE) from None
