"""The convolution of DeBERTa-v2 over the embeddings of neighbouring tokens."""

import tensorflow as tf

from undertone_model.architecture import Architecture, Convolution
from undertone_model.encoder.layers import ACTIVATIONS, Linear, Tensor, Weights


def convolve(
    weights: Weights,
    architecture: Architecture,
    convolution: Convolution,
    embedded: Tensor,
    attention_mask: Tensor,
    linear: Linear,
) -> Tensor:
    """The activation [batch x length, hidden] of the convolution of `embedded` [batch x length,
    hidden].

    Padding is zero, and so are the neighbours before the first and after the last token. The
    convolution is one linear layer, whose input is each token beside its neighbours.
    """
    reach, length = convolution.kernel_size // 2, tf.shape(attention_mask)[1]
    mask = tf.cast(attention_mask, embedded.dtype)[:, :, tf.newaxis]
    rows = tf.reshape(embedded, [-1, length, architecture.hidden_size]) * mask
    padded = tf.pad(rows, [[0, 0], [reach, reach], [0, 0]])
    windows = tf.concat([padded[:, start : start + length] for start in range(convolution.kernel_size)], axis=-1)
    inputs = tf.reshape(windows, [-1, convolution.kernel_size * architecture.hidden_size])
    return ACTIVATIONS[convolution.activation](linear(weights, "encoder.conv", inputs))
