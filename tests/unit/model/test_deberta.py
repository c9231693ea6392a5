"""DeBERTa, all versions: configurations, attention scores, and the fusions of the graph."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from undertone_model import encoder
from undertone_model.architecture import Architecture, Convolution, DisentangledPositions, Head
from undertone_model.batches import pad_batch
from undertone_model.checkpoint import load_checkpoint
from undertone_model.configuration import Configuration
from undertone_model.encoder.disentangled import DisentangledScores, embedding_rows
from undertone_model.errors import CheckpointError
from undertone_model.families import deberta, deberta_v1
from undertone_model.labels import probabilities
from undertone_model.serving import save_graph
from undertone_model.sources import from_checkpoint
from undertone_model.testing import golden_checkpoint

from tests.unit.support.graphs import GRAPH_OPERATIONS, SAVE_OPERATIONS, X86, GraphSession, count_fusions, operations_of

GOLDENS = Path(__file__).parent / "goldens" / "families"
SMALL_BUCKETS = json.loads((GOLDENS / "deberta-v3-small-buckets.json").read_text())
CONVOLUTION = json.loads((GOLDENS / "deberta-v2-convolution.json").read_text())
DISTANCES = {"GatherV2", "MatrixDiagPartV3", "Sum"}
"""Operations that BERT's graph does not have. All are older than TF Serving 2.3."""
NEIGHBOURS = {"ConcatV2", "ExpandDims", "Pad"}
"""Operations of a convolution. All are older than TF Serving 2.0."""


def architecture(**fields: Any) -> Architecture:
    return deberta.architecture(Configuration(Path("config.json"), {"relative_attention": True, **fields}))


def export_of(record: dict[str, Any], folder: Path, precision: Any) -> Path:
    save_graph(from_checkpoint(golden_checkpoint(folder / "checkpoint", record)), folder / "1", precision)
    return folder / "1"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_of(SMALL_BUCKETS, tmp_path_factory.mktemp("deberta"), "fp32")


def test_default_configuration_has_the_sizes_of_deberta_v2_xlarge() -> None:
    default = architecture()
    assert default.positions == DisentangledPositions(
        span=512, content_to_position=False, position_to_content=False, shared=False, normalized=False, absolute=True
    )
    assert (default.head, default.convolution, default.embedding_size) == (Head("cls", "gelu"), None, None)
    assert (default.max_tokens, default.layer_norm_eps, default.type_vocab_size) == (512, 1e-7, 0)
    # 4 · 1536² for attention and 2 · 1536 · 6144 for the feed-forward network.
    assert default.encoder_parameters() == 24 * 28_311_552


@pytest.mark.parametrize("terms", ["p2c|c2p", " C2P | p2c", ["c2p", "p2c"]])
def test_configuration_of_deberta_v3(terms: Any) -> None:
    fields = {"position_buckets": 256, "share_att_key": True, "norm_rel_ebd": "layer_norm", "position_biased_input": False}
    assert architecture(pos_att_type=terms, max_relative_positions=-1, **fields).positions == DisentangledPositions(256, 512)


@pytest.mark.parametrize("buckets", [-1, 0])
def test_without_buckets_each_distance_has_an_embedding(buckets: int) -> None:
    positions = architecture(position_buckets=buckets, max_relative_positions=20).positions
    assert isinstance(positions, DisentangledPositions)
    assert (positions.span, positions.max_distance) == (20, None)


def test_default_configuration_of_the_first_version_has_the_sizes_of_deberta_base() -> None:
    # Fields that DeBERTa-v2 added have no effect.
    fields = {"relative_attention": True, "pos_att_type": "c2p|p2c", "position_buckets": 256, "share_att_key": True}
    first = deberta_v1.architecture(Configuration(Path("config.json"), fields))
    assert (first.family, first.vocab_size, first.encoder_parameters()) == ("deberta", 50265, 84_934_656)
    assert first.positions == DisentangledPositions(span=512, shared=False, normalized=False, absolute=True)


def test_first_version_with_talking_heads_is_refused() -> None:
    fields = {"relative_attention": True, "talking_head": True}
    with pytest.raises(CheckpointError, match="talking_head is True; only False is supported"):
        deberta_v1.architecture(Configuration(Path("config.json"), fields))


def test_fused_tensor_of_another_size_is_refused(tmp_path: Path) -> None:
    record = json.loads((GOLDENS / "deberta.json").read_text())
    record["shapes"]["deberta.encoder.layer.1.attention.self.in_proj.weight"] = [71, 24]
    with pytest.raises(CheckpointError, match=r"layer\.1\.attention\.self\.in_proj\.weight has the shape \[71, 24\]"):
        load_checkpoint(golden_checkpoint(tmp_path, record))


def test_convolution_counts_as_parameters_of_the_encoder() -> None:
    with_convolution = architecture(conv_kernel_size=3, conv_act="gelu")
    assert with_convolution.convolution == Convolution(3, "gelu")
    assert with_convolution.encoder_parameters() - architecture().encoder_parameters() == 3 * 1536 * 1536


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"relative_attention": False}, "relative_attention is False; only True is supported"),
        ({"pos_att_type": "c2p|p2p"}, "pos_att_type is 'c2p|p2p'; only 'c2p' and 'p2c' are supported"),
        ({"pos_att_type": 3}, "pos_att_type is 3; only"),
        ({"pos_att_type": [["c2p"]]}, "pos_att_type is [['c2p']]; only"),
        ({"position_buckets": 1}, "position_buckets is 1 for 512 relative positions; expected 2 to 1021"),
        ({"position_buckets": 40, "max_relative_positions": 21}, "position_buckets is 40 for 21 relative positions; expected"),
        ({"position_buckets": "256"}, "position_buckets is '256', expected a positive integer"),
        ({"norm_rel_ebd": "batch_norm"}, "norm_rel_ebd is 'batch_norm'; only 'none' or 'layer_norm' is supported"),
        ({"attention_head_size": 32}, "attention_head_size is 32; only 64 is supported"),
        ({"pooler_hidden_size": 768}, "pooler_hidden_size is 768; only 1536 is supported"),
        ({"conv_kernel_size": 4}, "conv_kernel_size is 4; only"),
        ({"conv_kernel_size": 3, "conv_groups": 2}, "conv_groups is 2; only 1 is supported"),
        ({"conv_kernel_size": 3, "num_hidden_layers": 1}, "conv_kernel_size is 3 with one layer; expected two layers or more"),
        ({"hidden_act": "mish"}, "hidden_act is 'mish'; only"),
    ],
)
def test_unsupported_configuration_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(CheckpointError) as error:
        architecture(**fields)
    assert str(error.value).startswith(f"config.json: {reason}")


@pytest.mark.parametrize(
    ("buckets", "maximum", "first"),
    [
        (8, 20, [5, 7, 12, 20]),
        (32, 128, [17, 19, 22, 25, 28, 32, 37, 43, 49, 56, 64, 74, 84, 97, 111, 128]),
    ],
)
def test_buckets_are_those_of_the_original(buckets: int, maximum: int, first: list[int]) -> None:
    # The first distance of each bucket, from transformers. The last row is that of the last bucket.
    distances = np.arange(maximum + 5)
    expected = np.minimum(distances, buckets // 2) + np.searchsorted(first, distances, side="right")
    expected = np.where(distances <= buckets // 2, distances, expected)
    rows = embedding_rows(DisentangledPositions(buckets, maximum), distances)
    assert rows.tolist() == np.minimum(expected + buckets, 2 * buckets - 1).tolist()


@given(middle=st.integers(1, 300), data=st.data())
def test_rows_are_symmetric_and_never_decrease(middle: int, data: st.DataObject) -> None:
    span, maximum = 2 * middle, data.draw(st.integers(middle + 2, 5000))
    distances = np.arange(-maximum - 3, maximum + 4)
    rows = embedding_rows(DisentangledPositions(span, maximum), distances)
    assert np.all(np.diff(rows) >= 0)
    assert rows.min() >= 0
    # The last row has the distance span - 1, the first one -span.
    assert np.all((rows + rows[::-1] == 2 * span) | (rows == 2 * span - 1) | (rows == 0))
    near = np.abs(distances) <= middle
    assert np.array_equal(rows[near], np.minimum(distances[near] + span, 2 * span - 1))


@pytest.mark.parametrize("length", [1, 2, 5, 11])
@pytest.mark.parametrize(
    ("keys_of_distances", "queries_of_distances"), [(True, True), (True, False), (False, True), (False, False)]
)
def test_scores_are_the_sum_of_their_terms(keys_of_distances: bool, queries_of_distances: bool, length: int) -> None:
    positions = DisentangledPositions(
        span=3, content_to_position=keys_of_distances, position_to_content=queries_of_distances, shared=False, normalized=False
    )
    small = Architecture(
        num_hidden_layers=2, hidden_size=8, num_attention_heads=2, max_position_embeddings=11, positions=positions
    )
    random = np.random.default_rng(length)
    weights = {
        name: random.normal(size=shape).astype(np.float32) for name, shape in small.weight_shapes().items() if "layer.0" in name
    }
    embeddings = random.normal(size=(6, 8)).astype(np.float32)
    queries, keys = random.normal(size=(2, 3, 2, length, 4)).astype(np.float32)
    padding = np.where(random.random((3, 1, 1, length)) < 0.3, np.float32(-7), np.float32(0))

    def of_distances(kind: str) -> NDArray[np.float32]:
        prefix = f"encoder.layer.0.attention.self.distance_{kind}"
        rows = embeddings @ weights[f"{prefix}.weight"].T + weights[f"{prefix}.bias"]
        table = rows.reshape(6, 2, 4).transpose(1, 0, 2)
        distances = np.arange(length)[:, None] - np.arange(length)
        return np.asarray(table[:, np.clip(distances + 3, 0, 5)])  # [heads, i, j, size]

    expected = np.einsum("bhis,bhjs->bhij", queries, keys)
    if keys_of_distances:
        expected += np.einsum("bhis,hijs->bhij", queries, of_distances("key"))
    if queries_of_distances:
        expected += np.einsum("bhjs,hijs->bhij", keys, of_distances("query"))
    scale = np.sqrt(4 * (1 + keys_of_distances + queries_of_distances))
    all_weights = weights | {"encoder.rel_embeddings.weight": embeddings}
    scores = DisentangledScores(all_weights, small, positions, tf.constant(length), encoder.dense)(0, queries, keys, padding)
    assert scores.numpy() == pytest.approx(expected / scale + padding, abs=1e-5)


def test_sequence_longer_than_the_maximum_is_an_invalid_argument(run: GraphSession) -> None:
    for rows, length in ((1, 49), (1, 60), (98, 49), (1, 200)):
        ids = np.ones((rows, length), np.int32)
        with pytest.raises(tf.errors.InvalidArgumentError):
            run(ids, ids)


def test_graph_uses_only_operations_of_tf_serving(exported: Path, tmp_path: Path) -> None:
    assert operations_of(exported) - GRAPH_OPERATIONS - SAVE_OPERATIONS - DISTANCES == set()
    with_convolution = operations_of(export_of(CONVOLUTION, tmp_path, "fp32"))
    assert with_convolution - GRAPH_OPERATIONS - SAVE_OPERATIONS - DISTANCES - NEIGHBOURS == set()


@X86
def test_onednn_fuses_the_graph(run: GraphSession) -> None:
    nodes = run.optimized_nodes()
    operations = Counter(node.op for node in nodes)
    assert operations["_MklLayerNorm"] == 1 + 2 * 2
    assert operations.keys().isdisjoint({"FusedBatchNormV3", "MatMul", "BiasAdd", "Erfc"})
    # As BERT, with GELU in the head. Products with distances do not fuse with the sums that follow.
    fusions = {"BiasAdd": 2 * 3 + 1, "Mul+Add": 2, "BiasAdd+Add": 2 * 2, "BiasAdd+GeluExact": 2 + 1}
    assert count_fusions(nodes) == {(operation, "float32"): count for operation, count in fusions.items()}
    # One layer has all rows, with two products; the last one has the row of the first token.
    assert operations["MatrixDiagPartV3"] == 1


@pytest.mark.parametrize("record", [SMALL_BUCKETS, CONVOLUTION], ids=["buckets", "convolution"])
def test_bf16_passes_the_gate(record: dict[str, Any], tmp_path: Path) -> None:
    run = GraphSession(export_of(record, tmp_path, "bf16"))
    batch = pad_batch(record["input_ids"], range(len(record["input_ids"])))
    answers = run(batch.input_ids, batch.attention_mask)
    run.session.close()
    expected = probabilities(np.array(record["logits"]), "single-label")
    assert 1e-4 < np.abs(answers - expected).max() < 0.02


def test_keys_of_distances_are_computed_at_export(exported: Path) -> None:
    checkpoint = tf.train.load_checkpoint(str(exported / "variables" / "variables"))
    shapes = Counter(tuple(shape) for shape in checkpoint.get_variable_to_shape_map().values())
    assert shapes[4, 2 * 8, 6] == 2 * 2
    assert shapes[2 * 8, 24] == 0
