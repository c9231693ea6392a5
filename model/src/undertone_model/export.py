"""A checkpoint as a SavedModel that TF Serving loads, with its tokenizer and contract beside it."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToJson
from google.protobuf.timestamp_pb2 import Timestamp
from numpy.typing import NDArray
from undertone_protos.v1 import contract_pb2

from undertone_model import adapters as adapter_files
from undertone_model import checkpoint as checkpoints
from undertone_model import encoder
from undertone_model.adapters import Score, TrainingData
from undertone_model.calibration import bias_vector
from undertone_model.checkpoint import Checkpoint
from undertone_model.encoder import Architecture
from undertone_model.errors import CheckpointError, ExportError

#: Sizes that `random` makes.
ARCHITECTURES: Mapping[str, Architecture] = {
    "minilm": Architecture(num_hidden_layers=6, hidden_size=384, intermediate_size=1536),
    "bert-base": Architecture(),
    "bert-large": Architecture(num_hidden_layers=24, hidden_size=1024, intermediate_size=4096, num_attention_heads=16),
}


@dataclass(frozen=True, slots=True)
class Source:
    """What is exported: a checkpoint with a head, where it came from, and the calibration that goes into the graph.

    `bias` has one number per label (empty: none) and `prior` names the kind of text that it was fitted for.
    """

    checkpoint: Checkpoint
    weights_sha256: str
    temperature: float = 1.0
    bias: tuple[float, ...] = ()
    prior: str = ""
    training_data: tuple[TrainingData, ...] = ()
    scores: tuple[Score, ...] = ()


def from_adapters(base: str | None, prior: str, folder: Path = adapter_files.COMMITTED) -> Source:
    """Our own model: the base with the adapters of `folder` merged in, calibrated for `prior`.

    Raises CheckpointError if the base is not the one that the adapters were trained on, or there is no such prior.
    """
    base_folder = checkpoints.base_folder(base)
    found = checkpoints.load(base_folder)
    adapters = adapter_files.load(folder)
    digest = checkpoints.file_sha256(base_folder / "model.safetensors")
    if digest != adapters.base_sha256:
        weights = base_folder / "model.safetensors"
        raise CheckpointError(f"{weights} (SHA-256 {digest}) is not the base that the adapters were trained on")
    if prior not in adapters.priors:
        raise CheckpointError(f"there is no prior {prior!r}; the adapters have {', '.join(adapters.priors)}")
    calibration = adapters.priors[prior]
    return Source(
        checkpoint=replace(found, weights=adapter_files.merge(found.weights, adapters.tensors), labels=adapters.labels),
        weights_sha256=adapters.sha256,
        temperature=calibration.temperature,
        bias=tuple(bias_vector(calibration).tolist()),
        prior=prior,
        training_data=adapters.training_data,
        scores=tuple(score for score in adapters.scores if score.data.endswith(f"@{prior}")),
    )


def from_folder(folder: Path) -> Source:
    """A fine-tuned BertForSequenceClassification. Raises CheckpointError if it has no head."""
    found = checkpoints.load(folder)
    if not found.labels:
        weights = folder / "model.safetensors"
        raise CheckpointError(f"{weights} has no classifier.weight; export needs a BertForSequenceClassification")
    return Source(found, checkpoints.file_sha256(folder / "model.safetensors"))


def random(size: str, seed: int = 0) -> Source:
    """Random weights of one of ARCHITECTURES with nine labels, for benchmarks.

    Biases are random too: TensorFlow folds zero biases away, and then no fused kernel matches.
    """
    architecture = ARCHITECTURES[size]
    generator = np.random.default_rng(seed)
    shapes = checkpoints.expected_shapes(architecture)
    shapes |= {"classifier.weight": (9, architecture.hidden_size), "classifier.bias": (9,)}
    weights = {
        name: (generator.standard_normal(shape, np.float32) * 0.02 + name.endswith("LayerNorm.weight")).astype(np.float32)
        for name, shape in shapes.items()
    }
    tokenizer = checkpoints.load(checkpoints.base_folder(None)).tokenizer
    return Source(Checkpoint(architecture, weights, tokenizer, tuple(f"LABEL_{index}" for index in range(9))), "")


def export(source: Source, folder: Path, name: str, number: int | None = None, max_tokens: int | None = None) -> Path:
    """Writes `folder/<name>/<number>/` and returns it; the default number is one more than the largest there.

    `max_tokens` (default: all positions that the model has) is the longest sequence that the contract will allow. The folder is
    written aside and renamed, so that a server that watches it never sees half of it. Raises ExportError.
    """
    versions = [int(path.name) for path in (folder / name).glob("*") if path.name.isdecimal()]
    number = max(versions, default=0) + 1 if number is None else number
    target = folder / name / str(number)
    if target.exists():
        raise ExportError(f"{target} exists; choose another --version, or remove it")
    limit = source.checkpoint.architecture.max_position_embeddings
    if max_tokens is not None and not 3 <= max_tokens <= limit:
        raise ExportError(f"--max-tokens {max_tokens} is not between 3 and {limit}, the positions that the model has")
    aside = target.with_name(f".{number}.writing")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        _save(source, aside)
        tokenizer_json = source.checkpoint.tokenizer.to_str(pretty=True).encode()
        (aside / "tokenizer.json").write_bytes(tokenizer_json)
        message = contract(source, name, number, tokenizer_json, max_tokens or limit)
        text = MessageToJson(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=False)
        (aside / "contract.json").write_text(text + "\n", encoding="utf-8")
        aside.rename(target)
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror or error}") from None
    return target


def _save(source: Source, folder: Path) -> None:
    """Writes the graph: ids and mask in, calibrated probabilities out."""
    architecture = source.checkpoint.architecture
    module = tf.Module()
    module.weights = {
        name: tf.Variable(array, trainable=False, name=name.replace(".", "_")) for name, array in _calibrated(source).items()
    }

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[
            tf.TensorSpec([None, None], tf.int32, name="input_ids"),
            tf.TensorSpec([None, None], tf.int32, name="attention_mask"),
        ]
    )
    def serve(input_ids: tf.Tensor, attention_mask: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = encoder.logits(module.weights, architecture, input_ids, attention_mask)
        probabilities = tf.ensure_shape(tf.nn.softmax(scores), [None, len(source.checkpoint.labels)])
        return {"probabilities": probabilities}

    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})


def _calibrated(source: Source) -> dict[str, NDArray[np.float32]]:
    """The weights with the calibration folded into the last layer, where it costs nothing; weights without use left out."""
    used = set(checkpoints.expected_shapes(source.checkpoint.architecture))
    weights = {name: array for name, array in source.checkpoint.weights.items() if name in used}
    head, bias = (source.checkpoint.weights[f"classifier.{part}"].astype(np.float64) for part in ("weight", "bias"))
    shift = np.array(source.bias or [0.0] * len(bias))
    weights["classifier.weight"] = (head / source.temperature).astype(np.float32)
    weights["classifier.bias"] = ((bias + shift) / source.temperature).astype(np.float32)
    return weights


def contract(source: Source, name: str, number: int, tokenizer_json: bytes, max_tokens: int) -> contract_pb2.ModelContract:
    """The contract of an export."""
    architecture = source.checkpoint.architecture
    shapes = checkpoints.expected_shapes(architecture)
    created = Timestamp()
    created.GetCurrentTime()
    created.nanos = 0
    return contract_pb2.ModelContract(
        name=name,
        version=number,
        labels=source.checkpoint.labels,
        tokenizer_sha256=hashlib.sha256(tokenizer_json).hexdigest(),
        max_tokens=max_tokens,
        inputs=[
            contract_pb2.TensorContract(name=tensor, dtype="int32", shape=[-1, -1])
            for tensor in ("input_ids", "attention_mask")
        ],
        outputs=[contract_pb2.TensorContract(name="probabilities", dtype="float32", shape=[-1, len(source.checkpoint.labels)])],
        precision="fp32",
        architecture=contract_pb2.Architecture(
            type="bert",
            layers=architecture.num_hidden_layers,
            hidden_size=architecture.hidden_size,
            intermediate_size=architecture.intermediate_size,
            attention_heads=architecture.num_attention_heads,
            vocabulary_size=architecture.vocab_size,
            pooling="cls",
            encoder_parameters=sum(
                rows * columns
                for key, (rows, *rest) in shapes.items()
                if key.startswith("encoder.") and rest
                for columns in rest
            ),
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
    )
