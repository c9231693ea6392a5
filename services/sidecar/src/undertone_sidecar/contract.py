"""contract.json: what the exporter promises of a model, checked against its files and against the model server."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf import json_format
from undertone_protos.v1 import contract_pb2

from undertone_sidecar.errors import ContractError

CONTRACT_FILE: Final = "contract.json"
TOKENIZER_FILE: Final = "tokenizer.json"
SIGNATURE: Final = "serving_default"
INPUT_IDS: Final = "input_ids"
ATTENTION_MASK: Final = "attention_mask"
PROBABILITIES: Final = "probabilities"

_FREE: Final = -1


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Data type by TensorFlow's name ("int32"), and shape with -1 where the size is free; None if even the rank is unknown."""

    dtype: str
    shape: tuple[int, ...] | None

    def is_met_by(self, served: "TensorSpec") -> bool:
        """Whether tensors of this kind fit the served one: the same, or more freely sized."""
        if self.dtype != served.dtype:
            return False
        if self.shape is None or served.shape is None:
            return True
        return len(self.shape) == len(served.shape) and all(
            theirs in (_FREE, mine) for mine, theirs in zip(self.shape, served.shape, strict=True)
        )

    def __str__(self) -> str:
        return self.dtype + ("[?]" if self.shape is None else str(list(self.shape)))


@dataclass(frozen=True, slots=True)
class Signature:
    """Tensors that a served model takes and gives, by name."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract that agrees with itself. `message` is the whole of it, as GetModel hands it out."""

    name: str
    version: int
    labels: tuple[str, ...]
    max_tokens: int
    precision: str
    tokenizer_sha256: str
    message: contract_pb2.ModelContract

    def check_signature(self, served: Signature) -> None:
        """Raises ContractError unless the model server's signature is one that our batches fit."""
        expected = _required(len(self.labels))
        for kind, wanted, found in (
            ("input", expected.inputs, served.inputs),
            ("output", expected.outputs, served.outputs),
        ):
            if problem := _difference(kind, wanted, found):
                raise ContractError(
                    f"model {self.name} version {self.version}: the model server's signature {SIGNATURE} {problem}; "
                    "do the sidecar's --model-dir and the model server's base path name the same export?"
                )


def read_contract(folder: Path, *, name: str) -> Contract:
    """Reads the contract of a version's folder, `<name>/<version>/`. Raises ContractError naming the file and the reason."""
    path = folder / CONTRACT_FILE
    try:
        message = json_format.Parse(path.read_text("utf-8"), contract_pb2.ModelContract(), ignore_unknown_fields=True)
    except OSError as error:
        raise ContractError(f"{path}: cannot be read ({error.strerror}); export the model again") from None
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise ContractError(f"{path}: is not a model contract ({error}); export the model again") from None
    if problem := _inconsistency(message, folder, name):
        raise ContractError(f"{path}: {problem}; export the model again")
    return Contract(
        name=message.name,
        version=message.version,
        labels=tuple(message.labels),
        max_tokens=message.max_tokens,
        precision=message.precision,
        tokenizer_sha256=message.tokenizer_sha256,
        message=message,
    )


def _inconsistency(message: contract_pb2.ModelContract, folder: Path, name: str) -> str | None:
    if message.name != name:
        return f"is for the model {message.name!r}, but {name!r} is to be served"
    if str(message.version) != folder.name:
        return f"is for version {message.version}, but stands in the folder of version {folder.name}"
    if len(set(message.labels)) < 2 or len(set(message.labels)) != len(message.labels):
        return f"labels must be at least two, all different; it has {list(message.labels)}"
    if message.max_tokens < 8:
        return f"max_tokens is {message.max_tokens}; at least 8 are needed"
    if not message.tokenizer_sha256 or not message.precision:
        return "tokenizer_sha256 or precision is missing"
    expected = _required(len(message.labels))
    return _difference("input", expected.inputs, _specs(message.inputs)) or _difference(
        "output", expected.outputs, _specs(message.outputs)
    )


def _required(labels: int) -> Signature:
    """The tensors that the sidecar sends and reads."""
    tokens = TensorSpec("int32", (_FREE, _FREE))
    return Signature(
        inputs={INPUT_IDS: tokens, ATTENTION_MASK: tokens},
        outputs={PROBABILITIES: TensorSpec("float32", (_FREE, labels))},
    )


def _specs(tensors: Iterable[contract_pb2.TensorContract]) -> dict[str, TensorSpec]:
    return {tensor.name: TensorSpec(tensor.dtype, tuple(tensor.shape)) for tensor in tensors}


def _difference(kind: str, wanted: Mapping[str, TensorSpec], found: Mapping[str, TensorSpec]) -> str | None:
    for name, spec in wanted.items():
        if name not in found:
            return f"has no {kind} {name!r} (it has {sorted(found)})"
        if not spec.is_met_by(found[name]):
            return f"has {kind} {name!r} as {found[name]}, expected {spec}"
    if kind == "input" and (extra := sorted(set(found) - set(wanted))):
        return f"needs the input {extra[0]!r}, which the sidecar does not send"
    return None
