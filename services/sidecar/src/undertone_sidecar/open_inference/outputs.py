"""Output tensors of the model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from undertone_protos.inference import open_inference_pb2

from undertone_sidecar.answers import Classified
from undertone_sidecar.contract import Contract
from undertone_sidecar.errors import RequestError
from undertone_sidecar.flags import flag_name
from undertone_sidecar.open_inference import raw_bytes
from undertone_sidecar.open_inference.parameters import shown
from undertone_sidecar.open_inference.request import BYTES, ID

ANY_SIZE: Final = -1

DTYPES: Final[Mapping[str, npt.DTypeLike]] = {"FP32": "<f4", "UINT32": "<u4", "BOOL": "?"}
"""The type of the elements in raw contents, by the data type of the protocol. Not for BYTES."""

Values = npt.NDArray[Any] | Sequence[bytes]

_CONTENTS: Final = {"FP32": "fp32_contents", "UINT32": "uint_contents", "BOOL": "bool_contents", BYTES: "bytes_contents"}


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The results of a request.

    Attributes:
        contract: The contract of the model.
        classified: The result of each paragraph.
        identifiers: The id of each paragraph.
        probabilities: Shape [paragraphs, labels].
    """

    contract: Contract
    classified: Sequence[Classified]
    identifiers: Sequence[str]
    probabilities: npt.NDArray[np.float32]

    @classmethod
    def of(cls, contract: Contract, classified: Sequence[Classified], identifiers: Sequence[str]) -> Self:
        probabilities = np.array([row.probabilities for row in classified], dtype=np.float32)
        return cls(contract, classified, identifiers, probabilities)


@dataclass(frozen=True, slots=True)
class Output:
    """An output tensor.

    Attributes:
        name: Its name.
        datatype: Its data type in the protocol.
        has_labels: Whether the last dimension is the labels of the model.
        values: Its values, in the order of its elements.
        has_rows: Whether the first dimension is the paragraphs. Otherwise, it must be requested.
    """

    name: str
    datatype: str
    values: Callable[[Rows], Values]
    has_labels: bool = False
    has_rows: bool = True

    def shape(self, rows: int, labels: int) -> list[int]:
        return [rows] * self.has_rows + [labels] * self.has_labels


_ROWS: Final = (
    Output("probabilities", "FP32", lambda rows: rows.probabilities, has_labels=True),
    Output("label", BYTES, lambda rows: [rows.contract.labels[i].encode() for i in rows.probabilities.argmax(axis=1)]),
    Output("tokens", "UINT32", lambda rows: np.array([row.tokens for row in rows.classified], dtype=np.uint32)),
    Output("truncated", "BOOL", lambda rows: np.array([row.truncated for row in rows.classified], dtype=np.bool_)),
    Output("chunks", "UINT32", lambda rows: np.array([row.chunks for row in rows.classified], dtype=np.uint32)),
    Output("flags", BYTES, lambda rows: [",".join(map(flag_name, row.flags)).encode() for row in rows.classified]),
)
_ABOVE_THRESHOLD: Final = Output(
    "above_threshold", "BOOL", lambda rows: rows.contract.above_threshold(rows.probabilities), has_labels=True
)
_ID: Final = Output(ID, BYTES, lambda rows: [identifier.encode() for identifier in rows.identifiers])
_LABELS: Final = Output(
    "labels", BYTES, lambda rows: [label.encode() for label in rows.contract.labels], has_labels=True, has_rows=False
)


def outputs_of(contract: Contract) -> Mapping[str, Output]:
    """All outputs of a model, by name."""
    outputs = (*_ROWS, *([_ABOVE_THRESHOLD] if contract.is_multi_label else []), _ID, _LABELS)
    return {output.name: output for output in outputs}


def select(contract: Contract, requested: Sequence[str], *, has_ids: bool) -> list[Output]:
    """The outputs of a response: the requested ones, or all that have a row for each paragraph.

    The output id is returned by default if the request has ids. Raises RequestError.
    """
    outputs = outputs_of(contract)
    if not requested:
        return [output for output in outputs.values() if output.has_rows and (has_ids or output is not _ID)]
    for name in requested:
        if name not in outputs:
            raise RequestError(
                f"the output {shown(name)} does not exist: request some of {', '.join(outputs)}, or none for the default"
            )
    return [outputs[name] for name in requested]


def fill(response: open_inference_pb2.ModelInferResponse, outputs: Sequence[Output], rows: Rows, *, is_raw: bool) -> None:
    """Adds the outputs to a response, with raw contents or with contents by data type."""
    for output in outputs:
        values = output.values(rows)
        tensor = response.outputs.add(
            name=output.name,
            datatype=output.datatype,
            shape=output.shape(len(rows.classified), len(rows.contract.labels)),
        )
        if is_raw:
            response.raw_output_contents.append(_raw(values, output.datatype))
        else:
            elements = values.ravel().tolist() if isinstance(values, np.ndarray) else values
            getattr(tensor.contents, _CONTENTS[output.datatype]).extend(elements)


def _raw(values: Values, datatype: str) -> bytes:
    return values.astype(DTYPES[datatype]).tobytes() if isinstance(values, np.ndarray) else raw_bytes.pack(values)
