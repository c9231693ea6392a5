"""The exported graph: the encoder in a form that stock TensorFlow fuses into oneDNN operations.

Linear layers with their biases, GELU and the sums before a layer norm fuse in the encoder's own
form. Layer norms fuse only in the form below, and only if scale and shift are constants of the
graph. Matrices are variables, because constants would take several times their memory in the
server. docs/explanation/graph.md has the measurements.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from undertone_model import encoder
from undertone_model.architecture import Architecture
from undertone_model.arrays import NamedArrays
from undertone_model.contract import INPUTS, OUTPUT, Precision
from undertone_model.labels import ProblemType
from undertone_model.sources import Source

SMALLEST_BIAS: Final = np.float32(1e-30)
"""Bias of a layer without bias. It does not change a number above 1e-22.

TensorFlow removes the addition of zeros, and then it does not recognize the operations to fuse.
"""


def save_graph(source: Source, folder: Path, precision: Precision, linear: encoder.Linear = encoder.dense) -> None:
    """Writes the SavedModel of `source` to `folder`. It maps token ids and mask to calibrated
    probabilities.

    Experiments can replace the linear layers by `linear`.
    """
    graph = ServingGraph(
        calibrated_weights(source), source.checkpoint.architecture, precision, linear, problem_type=source.problem_type
    )

    @tf.function(  # type: ignore[untyped-decorator]
        autograph=False, input_signature=[tf.TensorSpec([None, None], tf.int32, name) for name in INPUTS]
    )
    def serve(input_ids: tf.Tensor, attention_mask: tf.Tensor) -> dict[str, tf.Tensor]:
        return {OUTPUT: graph(input_ids, attention_mask)}

    # Gradients would add functions that a server does not run.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(graph, str(folder), signatures={"serving_default": serve}, options=options)


def calibrated_weights(source: Source) -> dict[str, NDArray[np.float32]]:
    """The weights of the graph. The last layer includes the calibration."""
    weights = {name: source.checkpoint.weights[name] for name in source.checkpoint.architecture.weight_shapes()}
    head, bias = (source.checkpoint.weights[f"classifier.{part}"].astype(np.float64) for part in ("weight", "bias"))
    shift = np.array(source.bias or [0.0] * len(bias))
    weights["classifier.weight"] = (head / source.temperature).astype(np.float32)
    weights["classifier.bias"] = ((bias + shift) / source.temperature).astype(np.float32)
    return weights


class ServingGraph(tf.Module):  # type: ignore[misc]
    """Maps token ids and mask [batch, length] to probabilities of labels [batch, labels]."""

    def __init__(
        self,
        weights: Mapping[str, NDArray[np.float32]],
        architecture: Architecture,
        precision: Precision = "fp32",
        linear: encoder.Linear = encoder.dense,
        problem_type: ProblemType = "single-label",
    ) -> None:
        """`weights` have the layout of the encoder and contain the head.

        With bf16, the weights of the encoder's linear layers are rounded to it.
        """
        super().__init__()
        self._architecture = architecture
        self._linear = linear
        self._activation = tf.nn.softmax if problem_type == "single-label" else tf.sigmoid
        self._labels = len(weights["classifier.bias"])
        weights = encoder.fold_distances(weights, architecture)
        self._vectors = {name: _visible(name, array) for name, array in weights.items() if array.ndim == 1}
        self._matrices = {
            name: tf.Variable(
                array,
                trainable=False,
                name=name.replace(".", "_"),
                dtype=matrix_dtype(name) if precision == "bf16" else tf.float32,
            )
            for name, array in weights.items()
            if array.ndim > 1
        }

    def __call__(self, input_ids: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        # Constants are created here, so that they belong to the graph that is traced.
        vectors = {name: tf.constant(array) for name, array in self._vectors.items()}
        scores = encoder.logits(
            self._matrices | vectors,
            self._architecture,
            input_ids,
            attention_mask,
            normalize=fusible_layer_norm,
            linear=self._linear,
        )
        return tf.ensure_shape(self._activation(scores), [None, self._labels])


def _visible(name: str, vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vector, or the bias SMALLEST_BIAS if it is a bias of zeros."""
    return np.full_like(vector, SMALLEST_BIAS) if name.endswith(".bias") and not vector.any() else vector


def matrix_dtype(name: str) -> tf.DType:
    """The dtype of a matrix with bf16. Embeddings, head, and keys and queries of distances stay in
    float32.
    """
    return tf.float32 if name.startswith(("embeddings.", "classifier.")) or ".distance_" in name else tf.bfloat16


def round_matrices(weights: Mapping[str, NDArray[np.float32]]) -> NamedArrays:
    """The weights with matrices in the dtypes of an export in bf16."""
    return {
        name: array.astype(matrix_dtype(name).as_numpy_dtype) if array.ndim > 1 else array for name, array in weights.items()
    }


def fusible_layer_norm(weights: encoder.Weights, architecture: Architecture, name: str, x: tf.Tensor) -> tf.Tensor:
    """Equals `encoder.layer_norm`, in the form that TensorFlow fuses into one oneDNN operation.

    It is the form of Keras' layer normalization: each row is a channel of a batch normalization
    without trained parameters.
    """
    shape = tf.shape(x)
    channels = tf.reshape(x, tf.stack([1, shape[0], weights[f"{name}.weight"].shape[0], 1]))
    empty = tf.constant([], tf.float32)
    normal = tf.raw_ops.FusedBatchNormV3(
        x=channels,
        scale=tf.ones([shape[0]]),
        offset=tf.zeros([shape[0]]),
        mean=empty,
        variance=empty,
        epsilon=architecture.layer_norm_eps,
        data_format="NCHW",
        is_training=True,
    ).y
    return tf.reshape(normal, shape) * weights[f"{name}.weight"] + weights[f"{name}.bias"]
