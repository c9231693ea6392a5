"""Each family, as a checkpoint and as a graph, against golden outputs of the original.

Each file in goldens/families is a small model. model/make_goldens.py completes it.
"""

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from undertone_model import encoder
from undertone_model.batches import TokenBatch, pad_batch
from undertone_model.checkpoint import load_checkpoint
from undertone_model.contract import Precision
from undertone_model.errors import CheckpointError
from undertone_model.export import export
from undertone_model.families import FAMILIES
from undertone_model.goldens import Goldens
from undertone_model.serving import save_graph
from undertone_model.sources import Source, from_checkpoint
from undertone_model.testing import golden_checkpoint
from undertone_model.verification import verify

from tests.unit.support.graphs import GRAPH_OPERATIONS, SAVE_OPERATIONS, X86, GraphSession, count_fusions, operations_of

FILES = sorted((Path(__file__).parent / "goldens" / "families").glob("*.json"))
TOLERANCE = 1e-4

ENCODER_FUSIONS = {"BiasAdd": 2 * 3, "Mul+Add": 2, "BiasAdd+Add": 2 * 2, "BiasAdd+GeluExact": 2}
"""Fused groups of two layers in fp32: queries, keys and values; scale and mask of attention; the
sums before the layer norms; the feed-forward networks.
"""
FUSIONS = {
    "bert": {"BiasAdd+Tanh": 1, "BiasAdd": 1},
    "roberta": {"BiasAdd+Tanh": 1, "BiasAdd": 1},
    "distilbert": {"BiasAdd+Relu": 1, "BiasAdd": 1},
    # The projection of the embeddings, and the head.
    "electra": {"BiasAdd+GeluExact": 1, "BiasAdd": 2},
    "mpnet": {"BiasAdd+Tanh": 1, "BiasAdd": 1},
}
"""Fused groups of the head. CamemBERT and XLM-RoBERTa have the graph of RoBERTa; tests of other
families are in modules of their own.
"""
FAMILIES_OF_FUSIONS = pytest.mark.parametrize(
    "model", [path for path in FILES if path.stem in FUSIONS], ids=lambda path: path.stem, indirect=True
)


@dataclass(frozen=True, slots=True)
class Model:
    """A small model with its golden outputs. `logits` is [rows, labels]."""

    record: dict[str, Any]
    source: Source
    logits: NDArray[np.float64]

    def logits_of(self, batch: TokenBatch) -> NDArray[np.float32]:
        checkpoint = self.source.checkpoint
        answers = encoder.logits(checkpoint.weights, checkpoint.architecture, batch.input_ids, batch.attention_mask)
        return np.asarray(answers)


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    record = json.loads(request.param.read_text())
    source = from_checkpoint(golden_checkpoint(tmp_path_factory.mktemp(request.param.stem), record))
    return Model(record, source, np.array(record["logits"]))


@pytest.fixture(scope="module")
def exported(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(model.source, tmp_path_factory.mktemp("models"), "tiny")


def test_every_family_has_golden_outputs() -> None:
    assert {json.loads(path.read_text())["config"]["model_type"] for path in FILES} == set(FAMILIES)


def test_golden_rows_differ_and_include_one_token_and_the_maximum(model: Model) -> None:
    lengths = [len(row) for row in model.record["input_ids"]]
    assert (min(lengths), max(lengths)) == (1, model.record["max_tokens"])
    assert model.source.checkpoint.architecture.max_tokens == model.record["max_tokens"]
    assert np.ptp(model.logits, axis=0).min() > 0.05


def test_single_rows_agree_with_the_original(model: Model) -> None:
    for row, expected in enumerate(model.logits):
        answer = model.logits_of(pad_batch(model.record["input_ids"], [row]))[0]
        assert answer == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("padding_id", [0, 1, 2])
def test_padded_rows_agree_with_the_original(model: Model, padding_id: int) -> None:
    batch = pad_batch(model.record["input_ids"], range(len(model.logits)))
    ids = np.where(batch.attention_mask == 1, batch.input_ids, padding_id).astype(np.int32)
    assert model.logits_of(TokenBatch(batch.rows, ids, batch.attention_mask)) == pytest.approx(model.logits, abs=TOLERANCE)


def test_export_is_verified_with_the_golden_outputs(model: Model, exported: Path) -> None:
    goldens = Goldens(model.source.weights_sha256, tuple(map(tuple, model.record["input_ids"])), model.logits)
    verification = verify(exported, goldens)
    assert verification.golden_rows == len(model.logits)
    assert verification.largest_difference <= TOLERANCE
    assert verification.contract.max_tokens == model.record["max_tokens"]
    assert verification.contract.architecture.type == model.record["config"]["model_type"]


@FAMILIES_OF_FUSIONS
def test_graph_uses_only_operations_of_tf_serving(model: Model, exported: Path) -> None:
    # All of these are older than TF Serving 2.0.
    assert operations_of(exported) - GRAPH_OPERATIONS - SAVE_OPERATIONS <= {"GatherV2", "Range", "Relu"}


@X86
@FAMILIES_OF_FUSIONS
@pytest.mark.parametrize("precision", get_args(Precision))
def test_onednn_fuses_the_graph(model: Model, tmp_path: Path, precision: Precision) -> None:
    save_graph(model.source, tmp_path, precision)
    run = GraphSession(tmp_path)
    nodes = run.optimized_nodes()
    run.session.close()
    operations = Counter(node.op for node in nodes)
    assert operations["_MklLayerNorm"] == 1 + 2 * 2
    assert operations.keys().isdisjoint({"FusedBatchNormV3", "MatMul", "BatchMatMulV2", "BiasAdd", "Erfc", "Tanh", "Relu"})
    assert operations["_MklFusedBatchMatMulV2"] == 2
    fused: Counter[str] = Counter()
    for (group, _), count in count_fusions(nodes).items():
        # In bf16, the sums before the layer norms are in float32 and stay operations of their own.
        fused[group.replace("BiasAdd+Add", "BiasAdd") if precision == "bf16" else group] += count
    expected = Counter(ENCODER_FUSIONS) + Counter(FUSIONS[model.record["config"]["model_type"]])
    if precision == "bf16":
        expected["BiasAdd"] += expected.pop("BiasAdd+Add")
    assert fused == expected


def test_parameters_are_those_of_the_linear_layers_of_tokens(model: Model) -> None:
    # Layers of DeBERTa for distances (`pos_`) are folded. A convolution has three dimensions.
    shapes = {name: shape for name, shape in model.record["shapes"].items() if "layer" in name or ".conv." in name}
    linear = (shape for name, shape in shapes.items() if len(shape) > 1 and "pos_" not in name)
    assert model.source.checkpoint.architecture.encoder_parameters() == sum(map(math.prod, linear))


def test_tensors_that_a_classifier_does_not_use_are_ignored(model: Model, tmp_path: Path) -> None:
    folder = golden_checkpoint(tmp_path, model.record)
    tensors: dict[str, Any] = load_file(folder / "model.safetensors")
    prefix = next(name for name in tensors if "embeddings" in name).partition(".")[0]
    unused: dict[str, Any] = {f"{prefix}.embeddings.position_ids": np.arange(48)[None], "lm_head.bias": np.zeros(7, np.float32)}
    pooler = {f"{prefix}.pooler.dense.weight": np.zeros((3, 3), np.float32)}
    save_file(pooler | unused | tensors, folder / "model.safetensors")
    weights = load_checkpoint(folder).weights
    expected = model.source.checkpoint.weights
    assert weights.keys() == expected.keys()
    assert all(np.array_equal(weights[name], array) for name, array in expected.items())


def test_missing_tensor_is_refused_by_its_name_in_the_checkpoint(model: Model, tmp_path: Path) -> None:
    folder = golden_checkpoint(tmp_path, model.record)
    tensors = load_file(folder / "model.safetensors")
    for name in tensors:
        save_file({other: array for other, array in tensors.items() if other != name}, folder / "model.safetensors")
        with pytest.raises(CheckpointError) as error:
            load_checkpoint(folder)
        assert f"has no tensor {name};" in str(error.value)
