"""The contract of an export: what a server must know of the model, as a protobuf message."""

import hashlib
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp
from undertone_protos.v1 import contract_pb2
from undertone_protos.v1.contract_pb2 import TensorContract

from undertone_model.precision import Precision
from undertone_model.sources import Source

if TYPE_CHECKING:
    from undertone_model.gate import Agreement

#: Signature of the graph: token ids and their mask in, a distribution over the labels out.
INPUTS: Final = ("input_ids", "attention_mask")
OUTPUT: Final = "probabilities"

#: Name of a tensor, to its type and shape.
Tensors: TypeAlias = dict[str, tuple[str, tuple[int, ...]]]


def tensors(labels: int) -> tuple[list[TensorContract], list[TensorContract]]:
    """Inputs and outputs of `serving_default` for a model of so many labels; batch and length are free."""
    inputs = [TensorContract(name=name, dtype="int32", shape=[-1, -1]) for name in INPUTS]
    return inputs, [TensorContract(name=OUTPUT, dtype="float32", shape=[-1, labels])]


def contract(
    source: Source,
    name: str,
    number: int,
    tokenizer_json: bytes,
    max_tokens: int,
    precision: Precision,
    agreement: "Agreement | None",
) -> contract_pb2.ModelContract:
    """The contract of an export of `source` as version `number` of `name`, with the tokenizer as its file will have it.

    `agreement` with float32 is None where it was not measured.
    """
    architecture, labels = source.checkpoint.architecture, source.checkpoint.labels
    inputs, outputs = tensors(len(labels))
    created = Timestamp()
    created.GetCurrentTime()
    created.nanos = 0
    return contract_pb2.ModelContract(
        name=name,
        version=number,
        labels=labels,
        tokenizer_sha256=hashlib.sha256(tokenizer_json).hexdigest(),
        max_tokens=max_tokens,
        inputs=inputs,
        outputs=outputs,
        precision=precision,
        architecture=contract_pb2.Architecture(
            type="bert",
            layers=architecture.num_hidden_layers,
            hidden_size=architecture.hidden_size,
            intermediate_size=architecture.intermediate_size,
            attention_heads=architecture.num_attention_heads,
            vocabulary_size=architecture.vocab_size,
            pooling="cls",
            encoder_parameters=architecture.encoder_parameters(),
        ),
        calibration=contract_pb2.Calibration(temperature=source.temperature, bias=source.bias, prior=source.prior),
        training_data=[
            contract_pb2.TrainingData(name=data.name, license=data.license, rows=data.rows, sha256=data.sha256)
            for data in source.training_data
        ],
        scores=[contract_pb2.Score(data=score.data, metric=score.metric, value=score.value) for score in source.scores],
        created_at=created,
        producer=f"undertone-model {version('undertone-model')}",
        weights_sha256=source.weights_sha256,
        agreement=contract_pb2.Agreement(**asdict(agreement)) if agreement else None,
    )
