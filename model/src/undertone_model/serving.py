"""The encoder as it is exported: laid out so that stock TensorFlow's oneDNN fusions match.

The linear layers with their biases, GELU and the sums before a layer norm fuse as the encoder has them. Layer norms do only in
the form below, and only where scale and shift are constants of the graph. Matrices stay variables: constants would fill the
server's memory several times. docs/explanation/graph.md has the figures.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from undertone_model import encoder
from undertone_model.architecture import Architecture
from undertone_model.contract import INPUTS, OUTPUT
from undertone_model.precision import Precision
from undertone_model.sources import Source


def save(source: Source, folder: Path, precision: Precision, linear: encoder.Linear = encoder.dense) -> None:
    """Writes the SavedModel of `source` to `folder`: ids and mask in, calibrated probabilities out.

    With another `linear` than the encoder's it is an experiment, and no export.
    """
    graph = ServingGraph(calibrated(source), source.checkpoint.architecture, precision, linear)

    @tf.function(  # type: ignore[untyped-decorator]
        autograph=False, input_signature=[tf.TensorSpec([None, None], tf.int32, name) for name in INPUTS]
    )
    def serve(input_ids: tf.Tensor, attention_mask: tf.Tensor) -> dict[str, tf.Tensor]:
        return {OUTPUT: graph(input_ids, attention_mask)}

    tf.saved_model.save(graph, str(folder), signatures={"serving_default": serve})


def calibrated(source: Source) -> dict[str, NDArray[np.float32]]:
    """The weights with the calibration folded into the last layer, where it costs nothing; weights without use left out."""
    weights = {name: source.checkpoint.weights[name] for name in source.checkpoint.architecture.shapes()}
    head, bias = (source.checkpoint.weights[f"classifier.{part}"].astype(np.float64) for part in ("weight", "bias"))
    shift = np.array(source.bias or [0.0] * len(bias))
    weights["classifier.weight"] = (head / source.temperature).astype(np.float32)
    weights["classifier.bias"] = ((bias + shift) / source.temperature).astype(np.float32)
    return weights


class ServingGraph(tf.Module):  # type: ignore[misc]
    """Token ids and mask, both [batch, length], in; a distribution over the labels [batch, labels] out."""

    def __init__(
        self,
        weights: Mapping[str, NDArray[np.float32]],
        architecture: Architecture,
        precision: Precision = "fp32",
        linear: encoder.Linear = encoder.dense,
    ) -> None:
        """`weights` in the encoder's layout, with the head. In bf16, those of the encoder's linear layers are rounded to it."""
        super().__init__()
        self._architecture = architecture
        self._linear = linear
        self._labels = len(weights["classifier.bias"])
        self._vectors = {name: array for name, array in weights.items() if array.ndim == 1}
        self._matrices = {
            name: tf.Variable(
                array, trainable=False, name=name.replace(".", "_"), dtype=_dtype(name) if precision == "bf16" else tf.float32
            )
            for name, array in weights.items()
            if array.ndim == 2
        }

    def __call__(self, input_ids: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        # Made here, so that they belong to the graph that is being traced.
        vectors = {name: tf.constant(array) for name, array in self._vectors.items()}
        scores = encoder.logits(
            self._matrices | vectors,
            self._architecture,
            input_ids,
            attention_mask,
            normalise=fusing_layer_norm,
            linear=self._linear,
        )
        return tf.ensure_shape(tf.nn.softmax(scores), [None, self._labels])


def _dtype(name: str) -> tf.DType:
    """Of a matrix in bf16. Embeddings and head, which cost next to nothing, stay exact."""
    return tf.float32 if name.startswith(("embeddings.", "classifier.")) else tf.bfloat16


def fusing_layer_norm(weights: encoder.Weights, architecture: Architecture, name: str, x: tf.Tensor) -> tf.Tensor:
    """What `encoder.layer_norm` computes, in the form that TensorFlow's graph optimizer replaces by one operation of oneDNN.

    It is the form of Keras' layer normalisation: every row is a channel of a batch normalisation that learns nothing.
    """
    shape = tf.shape(x)
    channels = tf.reshape(x, tf.stack([1, shape[0], architecture.hidden_size, 1]))
    nothing = tf.constant([], tf.float32)
    normal = tf.raw_ops.FusedBatchNormV3(
        x=channels,
        scale=tf.ones([shape[0]]),
        offset=tf.zeros([shape[0]]),
        mean=nothing,
        variance=nothing,
        epsilon=architecture.layer_norm_eps,
        data_format="NCHW",
        is_training=True,
    ).y
    return tf.reshape(normal, shape) * weights[f"{name}.weight"] + weights[f"{name}.bias"]
