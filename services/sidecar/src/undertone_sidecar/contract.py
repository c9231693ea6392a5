"""The model contract, contract.json, and its checks against other files and the model server."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from google.protobuf import json_format
from undertone_protos.v1 import contract_pb2

from undertone_sidecar.errors import ContractError

CONTRACT_FILE: Final = "contract.json"
TOKENIZER_FILE: Final = "tokenizer.json"
SIGNATURE: Final = "serving_default"
INPUT_IDS: Final = "input_ids"
ATTENTION_MASK: Final = "attention_mask"
PROBABILITIES: Final = "probabilities"

_ANY_SIZE: Final = -1
_MIN_TOKENS: Final = 8
"""The smallest maximum of tokens that the sidecar serves."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Data type by TensorFlow's name ("int32"), and shape. -1 is any size, None is any rank."""

    dtype: str
    shape: tuple[int, ...] | None

    def is_accepted_by(self, served: "TensorSpec") -> bool:
        """Whether the served tensor accepts every tensor of this spec."""
        if self.dtype != served.dtype:
            return False
        if self.shape is None or served.shape is None:
            return True
        return len(self.shape) == len(served.shape) and all(
            served_size in (_ANY_SIZE, size) for size, served_size in zip(self.shape, served.shape, strict=True)
        )

    def __str__(self) -> str:
        return self.dtype + ("[?]" if self.shape is None else str(list(self.shape)))


@dataclass(frozen=True, slots=True)
class Signature:
    """Input and output tensors of a served model, by name."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


@dataclass(frozen=True, slots=True, eq=False)
class Contract:
    """A consistent contract.

    Attributes:
        name: Name of the model.
        version: Version of the model.
        labels: Labels, in the order of the probabilities.
        problem_type: PROBLEM_TYPE_SINGLE_LABEL or PROBLEM_TYPE_MULTI_LABEL.
        thresholds: Threshold of each label of a multi-label model. Empty for a single-label model.
        max_tokens: Maximum tokens of a sequence, special tokens included.
        precision: Arithmetic of the graph: "fp32" or "bf16".
        tokenizer_sha256: SHA-256 of the tokenizer's file.
        message: The complete contract, for GetModel.
    """

    name: str
    version: int
    labels: tuple[str, ...]
    problem_type: contract_pb2.ProblemType.ValueType
    thresholds: npt.NDArray[np.float64]
    max_tokens: int
    precision: str
    tokenizer_sha256: str
    message: contract_pb2.ModelContract

    @property
    def window_tokens(self) -> int:
        """Tokens of a window of CHUNK_MAX, special tokens included. 0 without windows."""
        return self.message.windows.tokens

    @property
    def neutral_index(self) -> int | None:
        """Index of the label of texts without any other label. None if there is none."""
        label = self.message.windows.neutral_label
        return self.labels.index(label) if label else None

    @property
    def is_multi_label(self) -> bool:
        """Whether the probabilities are independent. If not, they are a distribution."""
        return self.problem_type == contract_pb2.PROBLEM_TYPE_MULTI_LABEL

    def above_threshold(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Which labels of a multi-label model each paragraph has.

        The comparison uses the probabilities that the caller receives and the thresholds of the
        contract, so that a caller who compares them gets the same labels.

        Args:
            probabilities: Shape [paragraphs, labels], as the result.
        """
        return np.greater_equal(probabilities, self.thresholds)

    def check_signature(self, served: Signature) -> None:
        """Raises ContractError if the signature of the model server does not accept our batches."""
        expected = _expected_signature(len(self.labels))
        for kind, ours, theirs in (
            ("input", expected.inputs, served.inputs),
            ("output", expected.outputs, served.outputs),
        ):
            if problem := _difference(kind, ours, theirs):
                raise ContractError(
                    f"model {self.name} version {self.version}: the model server's signature {SIGNATURE} {problem}: "
                    "check that the sidecar's --model-dir and the model server's base path contain the same export"
                )


def read_contract(folder: Path, *, name: str) -> Contract:
    """Reads the contract in the folder of a version. Raises ContractError."""
    path = folder / CONTRACT_FILE
    try:
        message = json_format.Parse(path.read_text("utf-8"), contract_pb2.ModelContract(), ignore_unknown_fields=True)
    except OSError as error:
        raise ContractError(f"{path}: cannot be read ({error.strerror}): export the model again") from None
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise ContractError(f"{path}: is not a model contract ({error}): export the model again") from None
    if problem := _inconsistency(message, folder, name):
        raise ContractError(f"{path}: {problem}: export the model again")
    return Contract(
        name=message.name,
        version=message.version,
        labels=tuple(message.labels),
        problem_type=message.problem_type or contract_pb2.PROBLEM_TYPE_SINGLE_LABEL,
        thresholds=np.array(message.thresholds, dtype=np.float64),
        max_tokens=message.max_tokens,
        precision=message.precision,
        tokenizer_sha256=message.tokenizer_sha256,
        message=message,
    )


def _inconsistency(message: contract_pb2.ModelContract, folder: Path, name: str) -> str | None:
    if message.name != name:
        return f"is for the model {message.name!r}, but the sidecar serves {name!r}"
    if str(message.version) != folder.name:
        return f"is for version {message.version}, but is in the folder of version {folder.name}"
    if problem := _label_problem(message):
        return problem
    if message.max_tokens < _MIN_TOKENS:
        return f"max_tokens is {message.max_tokens}, but must be at least {_MIN_TOKENS}"
    if problem := _window_problem(message):
        return problem
    if not message.tokenizer_sha256 or not message.precision:
        return "tokenizer_sha256 or precision is missing"
    expected = _expected_signature(len(message.labels))
    return _difference("input", expected.inputs, _specs(message.inputs)) or _difference(
        "output", expected.outputs, _specs(message.outputs)
    )


def _window_problem(message: contract_pb2.ModelContract) -> str | None:
    windows = message.windows
    if message.HasField("windows") and not _MIN_TOKENS <= windows.tokens <= message.max_tokens:
        return f"windows.tokens is {windows.tokens}, but must be from {_MIN_TOKENS} to max_tokens ({message.max_tokens})"
    if windows.neutral_label and windows.neutral_label not in message.labels:
        return f"windows.neutral_label is {windows.neutral_label!r}, but must be one of {list(message.labels)}"
    return None


def _label_problem(message: contract_pb2.ModelContract) -> str | None:
    labels, thresholds = list(message.labels), list(message.thresholds)
    if message.problem_type == contract_pb2.PROBLEM_TYPE_MULTI_LABEL:
        if not labels or len(set(labels)) != len(labels):
            return f"labels is {labels}, but needs at least one label and no duplicates"
        if len(thresholds) != len(labels):
            return f"thresholds has {len(thresholds)} numbers, but needs one for each of the {len(labels)} labels"
        for label, threshold in zip(labels, thresholds, strict=True):
            if not 0 < threshold < 1:
                return f"the threshold of {label!r} is {threshold:g}, but must be above 0 and below 1"
        return None
    if message.problem_type not in contract_pb2.ProblemType.values():
        return f"problem_type is {message.problem_type}, but must be 1 (single-label) or 2 (multi-label)"
    if len(set(labels)) < 2 or len(set(labels)) != len(labels):
        return f"labels is {labels}, but needs at least two different labels and no duplicates"
    if thresholds:
        return f"thresholds is {thresholds}, but only a multi-label model has thresholds"
    return None


def _expected_signature(labels: int) -> Signature:
    """Tensors that the sidecar sends and reads."""
    tokens = TensorSpec("int32", (_ANY_SIZE, _ANY_SIZE))
    return Signature(
        inputs={INPUT_IDS: tokens, ATTENTION_MASK: tokens},
        outputs={PROBABILITIES: TensorSpec("float32", (_ANY_SIZE, labels))},
    )


def _specs(tensors: Iterable[contract_pb2.TensorContract]) -> dict[str, TensorSpec]:
    return {tensor.name: TensorSpec(tensor.dtype, tuple(tensor.shape)) for tensor in tensors}


def _difference(kind: str, expected: Mapping[str, TensorSpec], served: Mapping[str, TensorSpec]) -> str | None:
    for name, spec in expected.items():
        if name not in served:
            return f"has no {kind} {name!r} (it has {sorted(served)})"
        if not spec.is_accepted_by(served[name]):
            return f"has {kind} {name!r} as {served[name]}, expected {spec}"
    if kind == "input" and (extra := sorted(set(served) - set(expected))):
        return f"needs the input {extra[0]!r}, which the sidecar does not send"
    return None
