"""ModernBERT: its configurations, its tensors, and the fusions of its graph."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from undertone_model.architecture import Architecture, Head, RotaryLayer, RotaryPositions
from undertone_model.checkpoint import load_checkpoint
from undertone_model.configuration import Configuration
from undertone_model.encoder.rotary import frequencies, rotate, turns
from undertone_model.errors import CheckpointError
from undertone_model.families import modernbert
from undertone_model.serving import save_graph
from undertone_model.sources import from_checkpoint
from undertone_model.testing import golden_checkpoint

from tests.unit.support.graphs import GRAPH_OPERATIONS, SAVE_OPERATIONS, X86, GraphSession, count_fusions, operations_of

GOLDENS = Path(__file__).parent / "goldens" / "families" / "modernbert.json"
OTHER_OPERATIONS = {
    *("Abs", "Bitcast", "Complex", "Cos", "ExpandDims", "FloorDiv", "GatherV2", "Greater", "IdentityN", "LessEqual"),
    *("Maximum", "Minimum", "NotEqual", "Pad", "Range", "SelectV2", "Sin", "Squeeze", "Tile"),
}
"""Operations that BERT's graph does not have. All are older than TensorFlow 2.0."""


def architecture(**fields: Any) -> Architecture:
    return modernbert.architecture(Configuration(Path("config.json"), fields))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return golden_checkpoint(tmp_path_factory.mktemp("modernbert"), json.loads(GOLDENS.read_text()))


@pytest.fixture(scope="module")
def exported(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("modernbert") / "1"
    save_graph(from_checkpoint(folder), target, "fp32")
    return target


def test_default_configuration_is_modernbert_base() -> None:
    base = architecture()
    everywhere, local = RotaryLayer(160_000.0), RotaryLayer(10_000.0, reach=64)
    assert base.positions == RotaryPositions((everywhere, local, local) * 7 + (everywhere,))
    assert base.head == Head("cls", "gelu", norm=True)
    assert base.unbiased == {"norm", "attention", "feed_forward", "head"}
    assert (base.max_tokens, base.layer_norm_eps) == (8192, 1e-5)
    # 4 · 768² for attention and 3 · 768 · 1152 for the gated feed-forward network.
    assert base.encoder_parameters() == 22 * 5_013_504


def test_older_and_newer_configurations_are_equal() -> None:
    older = architecture(
        num_hidden_layers=4, global_attn_every_n_layers=2, global_rope_theta=5e4, local_rope_theta=100, local_attention=10
    )
    newer = architecture(
        num_hidden_layers=4,
        layer_types=["full_attention", "sliding_attention"] * 2,
        rope_parameters={
            "full_attention": {"rope_type": "default", "rope_theta": 5e4},
            "sliding_attention": {"rope_type": "default", "rope_theta": 100},
        },
        local_attention=10,
    )
    assert older == newer


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"hidden_activation": "mish"}, "hidden_activation is 'mish'; only "),
        ({"classifier_pooling": "max"}, "classifier_pooling is 'max'; only 'cls' or 'mean' is supported"),
        ({"local_attention": 0}, "local_attention is 0, expected a positive integer"),
        ({"layer_types": ["full_attention"]}, "layer_types is ['full_attention'], expected a list of 22"),
        ({"layer_types": ["chunked_attention"] * 22}, "layer_types is ['chunked_attention', "),
        ({"layer_types": [["full_attention"]] * 22}, "layer_types is [['full_attention'], "),
        ({"rope_scaling": {"type": "linear"}}, "rope_scaling is {'type': 'linear'}; only None"),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}, "rope_type is 'yarn'; only 'default'"),
        ({"rope_parameters": {"full_attention": 3}}, "rope_parameters is {'full_attention': 3}, expected an object for each"),
        ({"rope_parameters": [1]}, "rope_parameters is [1], expected an object for each type of layer"),
        ({"global_rope_theta": "1e4"}, "global_rope_theta is '1e4', expected a positive number"),
        (
            {"hidden_size": 24, "num_attention_heads": 8},
            "hidden_size 24 with 8 attention heads: the size of a",
        ),
    ],
)
def test_unsupported_configuration_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(CheckpointError) as error:
        architecture(**fields)
    assert str(error.value).startswith(f"config.json: {reason}")


def test_biases_that_the_configuration_excludes_are_zeros(folder: Path) -> None:
    weights = load_checkpoint(folder).weights
    assert {name for name, array in weights.items() if name.endswith(".bias") and array.any()} == {"classifier.bias"}


def test_fused_tensor_of_another_size_is_refused(tmp_path: Path) -> None:
    record = json.loads(GOLDENS.read_text())
    record["shapes"]["model.layers.1.attn.Wqkv.weight"] = [71, 24]
    with pytest.raises(CheckpointError, match=r"model\.layers\.1\.attn\.Wqkv\.weight has the shape \[71, 24\]"):
        load_checkpoint(golden_checkpoint(tmp_path, record))


def test_frequencies_are_rounded_as_in_pytorch() -> None:
    # 1.0 / (160000.0 ** (torch.arange(0, 64, 2, dtype=torch.float) / 64)) of torch 2.15
    expected = {6: 0.10573712, 14: 0.0052868566, 23: 0.00018177694, 25: 8.5957e-05, 31: 9.088847e-06}
    computed = frequencies(160_000.0, 64)
    assert {index: float(computed[index]) for index in expected} == {
        index: float(np.float32(value)) for index, value in expected.items()
    }


def test_rotation_has_a_gradient() -> None:
    pairs = tf.constant(np.random.default_rng(0).normal(size=(2, 3, 4, 2)), tf.float32)
    by = turns(Architecture(hidden_size=8, num_attention_heads=2), 100.0, tf.constant(3))
    (computed,), (measured,) = tf.test.compute_gradient(lambda x: rotate(x, by), [pairs])
    assert computed == pytest.approx(measured, abs=1e-3)


def test_graph_uses_only_operations_of_tf_serving(exported: Path) -> None:
    assert operations_of(exported) - GRAPH_OPERATIONS - SAVE_OPERATIONS - OTHER_OPERATIONS == set()


@X86
def test_onednn_fuses_the_graph_without_biases(run: GraphSession) -> None:
    nodes = run.optimized_nodes()
    operations = Counter(node.op for node in nodes)
    # Two a layer, but one in the first; embeddings, encoder and head.
    assert operations["_MklLayerNorm"] == 2 * 5 - 1 + 3
    assert operations.keys().isdisjoint({"FusedBatchNormV3", "MatMul", "BiasAdd", "Erfc"})
    assert count_fusions(nodes) == {
        # Queries, keys, values, gates, a sum of the last layer, which has other rows, and the head.
        ("BiasAdd", "float32"): 4 * 5 + 1 + 1,
        ("BiasAdd+Add", "float32"): 2 * 5 - 1,
        ("BiasAdd+GeluExact", "float32"): 5 + 1,
        ("Mul+Add", "float32"): 5,
    }


@X86
def test_onednn_fuses_the_graph_in_bf16(folder: Path, tmp_path: Path) -> None:
    save_graph(from_checkpoint(folder), tmp_path / "1", "bf16")
    run = GraphSession(tmp_path / "1")
    nodes = run.optimized_nodes()
    run.session.close()
    # The layer norm of the head does not fuse.
    assert sum(node.op == "_MklLayerNorm" for node in nodes) == 2 * 5 - 1 + 2
    assert count_fusions(nodes) == {
        ("BiasAdd", "bfloat16"): 6 * 5,
        ("BiasAdd+GeluExact", "bfloat16"): 5 + 1,
        ("Mul+Add", "float32"): 5,
        ("BiasAdd", "float32"): 1,
    }
