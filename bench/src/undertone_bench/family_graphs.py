"""Exported graphs of random models, and the operations that TensorFlow fuses in them.

    python -m undertone_bench.family_graphs FOLDER PRECISION SIZE...

Writes for each size the SavedModel FOLDER/SIZE, and its `GraphFacts` to FOLDER/SIZE.json.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """Sizes of a model and counts of operations in its optimized graph.

    `parameters` is the number of weights in the encoder's linear layers. `linear` counts products
    of linear layers with fused bias, `attention` products of attention with fused scale and mask,
    `norms` fused layer norms, and `unfused` all other products.
    """

    layers: int
    parameters: int
    linear: int
    attention: int
    norms: int
    unfused: int

    @classmethod
    def of(cls, layers: int, parameters: int, nodes: Iterable[Any]) -> Self:
        """`nodes` are the NodeDefs of an optimized graph."""
        linear = attention = norms = unfused = 0
        for node in nodes:
            if node.op == "_MklLayerNorm":
                norms += 1
            elif "MatMul" in node.op:
                fused = "fused_ops" in node.attr
                attention += fused and "Batch" in node.op
                linear += fused and "Batch" not in node.op
                unfused += not fused
        return cls(layers, parameters, linear, attention, norms, unfused)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads the file of a graph that this module wrote."""
        return cls(**json.loads(path.read_text()))


def main() -> None:
    # The parent process needs only GraphFacts, and TensorFlow's threads would disturb it.
    from undertone_model import serving, sources
    from undertone_model.contract import Precision

    folder, precision, *sizes = sys.argv[1:]
    for size in sizes:
        source = sources.random_weights(size)
        serving.save_graph(source, Path(folder, size), cast("Precision", precision))
        architecture = source.checkpoint.architecture
        nodes = _optimized_nodes(Path(folder, size))
        facts = GraphFacts.of(architecture.num_hidden_layers, architecture.encoder_parameters(), nodes)
        Path(folder, f"{size}.json").write_text(json.dumps(asdict(facts)))


def _optimized_nodes(folder: Path) -> list[Any]:
    import tensorflow as tf

    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], str(folder)).signature_def["serving_default"]
        feeds = {tensor.name: np.ones((2, 16), np.int32) for tensor in signature.inputs.values()}
        metadata = tf.compat.v1.RunMetadata()
        options = tf.compat.v1.RunOptions(output_partition_graphs=True)
        session.run(signature.outputs["probabilities"].name, feeds, options=options, run_metadata=metadata)
    return [node for graph in metadata.partition_graphs for node in graph.node]


if __name__ == "__main__":
    main()
