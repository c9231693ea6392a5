"""The exported graph: equality with the encoder, operations, and fusions in the TensorFlow
runtime.
"""

import platform
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import softmax
from tensorflow.core.protobuf import saved_model_pb2
from undertone_model import encoder
from undertone_model.batches import pad_batch
from undertone_model.checkpoint import load_checkpoint
from undertone_model.contract import INPUTS
from undertone_model.goldens import Goldens
from undertone_model.serving import calibrated_weights
from undertone_model.sources import from_checkpoint

# The newest operation is DisableCopyOnRead of TensorFlow 2.13. TF Serving 2.19 has all of them. The
# graph is written by a newer TensorFlow than TF Serving's, so add an operation only if TF Serving
# has it.
GRAPH_OPERATIONS = {
    *("AddV2", "BatchMatMulV2", "BiasAdd", "Cast", "Const", "EnsureShape", "Erfc", "Fill", "FusedBatchNormV3", "Identity"),
    *("MatMul", "Mul", "Neg", "NoOp", "Pack", "Placeholder", "ReadVariableOp", "Reshape", "ResourceGather", "Shape", "Softmax"),
    *("StatefulPartitionedCall", "StridedSlice", "Sub", "Tanh", "Transpose", "VarHandleOp"),
}
SAVE_OPERATIONS = {
    *("AssignVariableOp", "DisableCopyOnRead", "MergeV2Checkpoints", "RestoreV2", "SaveV2", "Select", "ShardedFilename"),
    *("StaticRegexFullMatch", "StringJoin"),
}


X86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="these fusions exist on x86-64 only")


class GraphSession:
    """A SavedModel in a Session."""

    def __init__(self, folder: Path) -> None:
        self.session = tf.compat.v1.Session(graph=tf.Graph())
        meta_graph = tf.compat.v1.saved_model.load(self.session, ["serve"], str(folder))
        self.signature = meta_graph.signature_def["serving_default"]

    def __call__(self, ids: NDArray[np.int32], mask: NDArray[np.int32], **options: Any) -> NDArray[np.float32]:
        feeds = {self.signature.inputs[name].name: array for name, array in zip(INPUTS, (ids, mask), strict=True)}
        output = self.signature.outputs["probabilities"].name
        probabilities: NDArray[np.float32] = self.session.run(output, feeds, **options)
        return probabilities

    def optimized_nodes(self) -> list[Any]:
        """The nodes of the graph after its optimization."""
        ids = np.ones((4, 16), np.int32)
        metadata = tf.compat.v1.RunMetadata()
        self(ids, ids, options=tf.compat.v1.RunOptions(output_partition_graphs=True), run_metadata=metadata)
        return [node for graph in metadata.partition_graphs for node in graph.node]


def count_fusions(nodes: list[Any]) -> Counter[tuple[str, str]]:
    """Counts fused operations by their parts and dtype."""
    return Counter(
        (b"+".join(node.attr["fused_ops"].list.s).decode(), tf.dtypes.as_dtype(node.attr["T"].type).name)
        for node in nodes
        if "fused_ops" in node.attr
    )


@pytest.fixture(scope="module")
def run(exported: Path) -> Iterator[GraphSession]:
    run = GraphSession(exported)
    yield run
    run.session.close()


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
    (meta_graph,) = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes()).meta_graphs
    functions = (function.node_def for function in meta_graph.graph_def.library.function)
    used = {node.op for nodes in (meta_graph.graph_def.node, *functions) for node in nodes}
    assert used - GRAPH_OPERATIONS - SAVE_OPERATIONS == set()
    # Attributes with default values are omitted, so that an older TensorFlow ignores new
    # attributes.
    assert meta_graph.meta_info_def.stripped_default_attrs


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
