"""Operations of an exported graph, and their fusions in the TensorFlow runtime."""

import platform
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import saved_model_pb2
from undertone_model.contract import INPUTS

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


def operations_of(folder: Path) -> set[str]:
    """Names of the operations of a SavedModel."""
    (meta_graph,) = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs
    # Attributes with default values are omitted, so that an older TensorFlow ignores new
    # attributes.
    assert meta_graph.meta_info_def.stripped_default_attrs
    functions = (function.node_def for function in meta_graph.graph_def.library.function)
    return {node.op for nodes in (meta_graph.graph_def.node, *functions) for node in nodes}
