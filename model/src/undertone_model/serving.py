"""The encoder as it is exported: laid out so that stock TensorFlow's oneDNN fusions match.

The linear layers with their biases, GELU and the sums before a layer norm fuse as the encoder has them. Layer norms do only in
the form below, and only where scale and shift are constants of the graph. Matrices stay variables: constants would fill the
server's memory several times.
"""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from undertone_model import encoder
from undertone_model.architecture import Architecture


class ServingGraph(tf.Module):  # type: ignore[misc]
    """Token ids and mask, both [batch, length], in; a distribution over the labels [batch, labels] out."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]], architecture: Architecture) -> None:
        """`weights` in the encoder's layout, with the head."""
        super().__init__()
        self._architecture = architecture
        self._labels = len(weights["classifier.bias"])
        self._vectors = {name: array for name, array in weights.items() if array.ndim == 1}
        self._matrices = {
            name: tf.Variable(array, trainable=False, name=name.replace(".", "_"))
            for name, array in weights.items()
            if array.ndim == 2
        }

    def __call__(self, input_ids: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        # Made here, so that they belong to the graph that is being traced.
        vectors = {name: tf.constant(array) for name, array in self._vectors.items()}
        scores = encoder.logits(
            self._matrices | vectors, self._architecture, input_ids, attention_mask, normalise=fusing_layer_norm
        )
        return tf.ensure_shape(tf.nn.softmax(scores), [None, self._labels])


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
