"""The contract of an export: everything that a server must know about the model.

It is a protocol buffer message, stored as contract.json beside the SavedModel.
"""

import hashlib
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from google.protobuf.json_format import MessageToJson, Parse, ParseError
from google.protobuf.timestamp_pb2 import Timestamp
from undertone_protos.v1 import contract_pb2
from undertone_protos.v1.contract_pb2 import ModelContract, TensorContract

from undertone_model.errors import VerificationError
from undertone_model.labels import ProblemType
from undertone_model.sources import Source
from undertone_model.thresholds import is_threshold

CONTRACT_FILE: Final = "contract.json"
TOKENIZER_FILE: Final = "tokenizer.json"

INPUTS: Final = ("input_ids", "attention_mask")
"""Inputs of the graph: token ids and their mask."""
OUTPUT: Final = "probabilities"
"""Output of the graph: the probability of each label."""

PROBLEM_TYPES: Final[Mapping[contract_pb2.ProblemType.ValueType, ProblemType]] = {
    contract_pb2.PROBLEM_TYPE_UNSPECIFIED: "single-label",
    contract_pb2.PROBLEM_TYPE_SINGLE_LABEL: "single-label",
    contract_pb2.PROBLEM_TYPE_MULTI_LABEL: "multi-label",
}
"""Problem types of contracts."""

MIN_MAX_TOKENS: Final = 8
"""The smallest maximum of tokens that the sidecar serves."""

Precision: TypeAlias = Literal["fp32", "bf16"]
"""With bf16, the linear layers of the encoder and attention's sum of values are computed in
bfloat16. All other operations are computed in float32.
"""

TensorTypes: TypeAlias = dict[str, tuple[str, tuple[int, ...]]]
"""Maps the name of a tensor to its dtype and shape."""


def signature(labels: int) -> tuple[list[TensorContract], list[TensorContract]]:
    """Inputs and outputs of `serving_default`. Batch size and length are variable."""
    inputs = [TensorContract(name=name, dtype="int32", shape=[-1, -1]) for name in INPUTS]
    return inputs, [TensorContract(name=OUTPUT, dtype="float32", shape=[-1, labels])]


def tensor_types(tensors: Sequence[TensorContract]) -> TensorTypes:
    """Dtypes and shapes of these tensors by name."""
    return {tensor.name: (tensor.dtype, tuple(tensor.shape)) for tensor in tensors}


def write_contract(
    folder: Path,
    source: Source,
    name: str,
    version: int,
    max_tokens: int,
    precision: Precision,
    agreement: contract_pb2.Agreement | None,
    flag_thresholds: contract_pb2.FlagThresholds | None = None,
) -> None:
    """Writes the contract of an export of `source` as version `version` of the model `name`.

    The tokenizer must be in `folder` already. `agreement` is the comparison with float32, or None.
    Without `flag_thresholds`, no result has a flag.
    """
    architecture, labels = source.checkpoint.architecture, source.checkpoint.labels
    inputs, outputs = signature(len(labels))
    created = Timestamp()
    created.GetCurrentTime()
    created.nanos = 0
    contract = ModelContract(
        name=name,
        version=version,
        labels=labels,
        tokenizer_sha256=hashlib.sha256((folder / TOKENIZER_FILE).read_bytes()).hexdigest(),
        max_tokens=max_tokens,
        inputs=inputs,
        outputs=outputs,
        precision=precision,
        architecture=contract_pb2.Architecture(
            type=architecture.family,
            layers=architecture.num_hidden_layers,
            hidden_size=architecture.hidden_size,
            intermediate_size=architecture.intermediate_size,
            attention_heads=architecture.num_attention_heads,
            vocabulary_size=architecture.vocab_size,
            pooling=architecture.head.pooling,
            encoder_parameters=architecture.encoder_parameters(),
        ),
        calibration=contract_pb2.Calibration(temperature=source.temperature, bias=source.bias, prior=source.prior),
        training_data=[
            contract_pb2.TrainingData(name=data.name, license=data.license, rows=data.rows, sha256=data.sha256)
            for data in source.training_data
        ],
        scores=[contract_pb2.Score(data=score.data, metric=score.metric, value=score.value) for score in source.scores],
        created_at=created,
        producer=f"undertone-model {metadata.version('undertone-model')}",
        weights_sha256=source.weights_sha256,
        agreement=agreement,
        problem_type=max(number for number, name in PROBLEM_TYPES.items() if name == source.problem_type),
        thresholds=source.thresholds,
        flag_thresholds=flag_thresholds,
        windows=_windows(source, max_tokens),
    )
    text = MessageToJson(contract, preserving_proto_field_name=True)
    (folder / CONTRACT_FILE).write_text(text + "\n", encoding="utf-8")


def _windows(source: Source, max_tokens: int) -> contract_pb2.Windows | None:
    if not source.window_tokens:
        return None
    return contract_pb2.Windows(tokens=min(source.window_tokens, max_tokens), neutral_label=source.neutral_label)


def read_contract(folder: Path) -> ModelContract:
    """Reads the contract in the version folder `folder`.

    Raises VerificationError if the file is missing or damaged, or contradicts itself or the folder.
    """
    path = folder / CONTRACT_FILE
    try:
        contract = Parse(path.read_text(encoding="utf-8"), ModelContract())
    except FileNotFoundError:
        raise VerificationError(f"{path} does not exist") from None
    except (OSError, ParseError, UnicodeDecodeError) as error:
        # The other lines of the message list all known fields.
        raise VerificationError(f"{path} is damaged: {str(error).splitlines()[0]}") from None
    if folder.resolve().name != str(contract.version):
        raise VerificationError(f"{path} has version {contract.version}, but its folder is {folder.resolve().name}")
    if not contract.labels or len(set(contract.labels)) != len(contract.labels):
        raise VerificationError(f"{path} must have labels, and each only once")
    if contract.precision not in get_args(Precision):
        expected = ", ".join(get_args(Precision))
        raise VerificationError(f"{path} has precision {contract.precision!r}, expected one of {expected}")
    if contract.max_tokens < MIN_MAX_TOKENS:
        raise VerificationError(f"{path} has max_tokens {contract.max_tokens}; the minimum is {MIN_MAX_TOKENS}")
    if len(contract.calibration.bias) not in (0, len(contract.labels)):
        count = len(contract.calibration.bias)
        raise VerificationError(f"{path} has {count} numbers in calibration.bias for {len(contract.labels)} labels")
    _check_thresholds(path, contract)
    for kind, tensors, expected_tensors in zip(
        ("inputs", "outputs"), (contract.inputs, contract.outputs), signature(len(contract.labels)), strict=True
    ):
        if (actual := tensor_types(tensors)) != (required := tensor_types(expected_tensors)):
            raise VerificationError(f"{path} has {kind} {actual}, expected {required}")
    return contract


def _check_thresholds(path: Path, contract: ModelContract) -> None:
    problem_type = PROBLEM_TYPES.get(contract.problem_type)
    if problem_type is None:
        raise VerificationError(f"{path} has the unknown problem_type {contract.problem_type}; update undertone-model")
    expected = len(contract.labels) if problem_type == "multi-label" else 0
    if len(contract.thresholds) != expected:
        count, labels = len(contract.thresholds), len(contract.labels)
        raise VerificationError(f"{path} has {count} thresholds; a {problem_type} model with {labels} labels has {expected}")
    for label, threshold in zip(contract.labels, contract.thresholds, strict=False):
        if not is_threshold(threshold):
            raise VerificationError(f"{path} has the threshold {threshold} for {label!r}, expected a number between 0 and 1")
