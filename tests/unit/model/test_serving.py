"""The exported graph: equality with the encoder, operations, and fusions in the TensorFlow
runtime.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax
from undertone_model import encoder
from undertone_model.architecture import Activation
from undertone_model.batches import pad_batch
from undertone_model.checkpoint import load_checkpoint
from undertone_model.goldens import Goldens
from undertone_model.serving import calibrated_weights, save_graph
from undertone_model.sources import from_checkpoint

from tests.unit.support.graphs import GRAPH_OPERATIONS, SAVE_OPERATIONS, X86, GraphSession, count_fusions, operations_of


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (1, 3), (1, 64), (2, 17), (7, 5), (32, 40)])
def test_graph_equals_the_encoder_for_any_batch_and_length(run: GraphSession, tiny: Path, rows: int, length: int) -> None:
    checkpoint = load_checkpoint(tiny)
    random = np.random.default_rng(rows)
    ids = random.integers(0, 112, (rows, length)).astype(np.int32)
    mask = (np.arange(length) < random.integers(1, length + 1, (rows, 1))).astype(np.int32)
    logits = encoder.logits(checkpoint.weights, checkpoint.architecture, ids, mask).numpy()
    probabilities = run(ids, mask)
    assert probabilities.dtype == np.float32
    assert probabilities == pytest.approx(softmax(logits, axis=1), abs=1e-5)


def test_graph_agrees_with_pytorch(run: GraphSession, tiny_goldens: Goldens) -> None:
    batch = pad_batch(tiny_goldens.input_ids, range(len(tiny_goldens.input_ids)))
    expected = softmax(tiny_goldens.logits, axis=1)
    assert run(batch.input_ids, batch.attention_mask) == pytest.approx(expected, abs=1e-5)


def test_sequence_longer_than_the_positions_is_an_invalid_argument(run: GraphSession) -> None:
    ids = np.ones((1, 65), np.int32)
    with pytest.raises(tf.errors.InvalidArgumentError):
        run(ids, ids)


def test_graph_uses_only_operations_of_tf_serving(exported: Path) -> None:
    assert operations_of(exported) - GRAPH_OPERATIONS - SAVE_OPERATIONS == set()


@X86
def test_onednn_fuses_the_graph(run: GraphSession) -> None:
    nodes = run.optimized_nodes()
    operations = Counter(node.op for node in nodes)
    assert operations["_MklLayerNorm"] == 1 + 2 * 2
    assert operations["_MklNativeFusedMatMul"] == 2 * 6 + 2
    assert operations.keys().isdisjoint({"FusedBatchNormV3", "MatMul", "BiasAdd", "Erfc", "Tanh"})
    # BiasAdd: queries, keys, values and the head. Mul+Add: scale and mask of attention.
    # BiasAdd+Add: the sums before the layer norms.
    fusions = {"BiasAdd": 2 * 3 + 1, "Mul+Add": 2, "BiasAdd+Add": 2 * 2, "BiasAdd+GeluExact": 2, "BiasAdd+Tanh": 1}
    assert count_fusions(nodes) == {(operation, "float32"): count for operation, count in fusions.items()}


@X86
@pytest.mark.parametrize(
    ("activation", "group"),
    [("gelu_tanh", "BiasAdd+GeluApproximate"), ("relu", "BiasAdd+Relu"), ("tanh", "BiasAdd+Tanh"), ("silu", None)],
)
def test_onednn_fuses_other_activations_except_silu(
    tiny: Path, tmp_path: Path, activation: Activation, group: str | None
) -> None:
    source = from_checkpoint(tiny)
    architecture = replace(source.checkpoint.architecture, activation=activation)
    save_graph(replace(source, checkpoint=replace(source.checkpoint, architecture=architecture)), tmp_path, "fp32")
    run = GraphSession(tmp_path)
    nodes = run.optimized_nodes()
    run.session.close()
    fusions = count_fusions(nodes)
    if group:
        # The head has a tanh.
        assert fusions[group, "float32"] == 2 + (activation == "tanh")
    else:
        assert sum(node.op == "_MklSwish" for node in nodes) == 2
    assert "BiasAdd+GeluExact" not in {found for found, _ in fusions}


def test_temperature_and_bias_are_optional(tiny: Path) -> None:
    source = from_checkpoint(tiny)
    plain = calibrated_weights(source)
    assert np.array_equal(plain["classifier.weight"], source.checkpoint.weights["classifier.weight"])
    calibrated = calibrated_weights(replace(source, temperature=2.0, bias=(1.0,) * 9))
    assert calibrated["classifier.bias"] == pytest.approx((plain["classifier.bias"] + 1) / 2)


def test_matrices_are_stored_in_bf16(bf16_export: Path, exported: Path) -> None:
    sizes = [(folder / "variables/variables.data-00000-of-00001").stat().st_size for folder in (bf16_export, exported)]
    assert sizes[0] < 0.75 * sizes[1]


@X86
def test_onednn_fuses_the_graph_in_bf16(bf16_export: Path) -> None:
    run = GraphSession(bf16_export)
    nodes = run.optimized_nodes()
    run.session.close()
    assert count_fusions(nodes) == {
        ("BiasAdd", "bfloat16"): 2 * 5,
        ("BiasAdd+GeluExact", "bfloat16"): 2,
        ("BiasAdd+Tanh", "bfloat16"): 1,
        ("BiasAdd", "float32"): 1,
        ("Mul+Add", "float32"): 2,
    }
    assert sum(node.op == "_MklLayerNorm" for node in nodes) == 1 + 2 * 2
