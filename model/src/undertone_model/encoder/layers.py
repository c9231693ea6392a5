"""Linear layer, layer norm and activation functions.

If a linear layer also has `….lora_A` [rank, in] and `….lora_B` [out, rank], their product is added
to its weight (LoRA, Hu et al., 2021). Training uses this unmerged form.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

import tensorflow as tf

from undertone_model.architecture import Activation, Architecture

Tensor: TypeAlias = tf.Tensor
Weights: TypeAlias = Mapping[str, Tensor]
Dropout: TypeAlias = Callable[[Tensor], Tensor]
Normalize: TypeAlias = Callable[[Weights, Architecture, str, Tensor], Tensor]
Linear: TypeAlias = Callable[[Weights, str, Tensor], Tensor]

ACTIVATIONS: Final[Mapping[Activation, Callable[[Tensor], Tensor]]] = {
    "gelu": partial(tf.nn.gelu, approximate=False),
    "gelu_tanh": partial(tf.nn.gelu, approximate=True),
    "relu": tf.nn.relu,
    "silu": tf.nn.silu,
    "tanh": tf.tanh,
}


def no_dropout(x: Tensor) -> Tensor:
    """Returns x unchanged, as serving has no dropout."""
    return x


def layer_norm(weights: Weights, architecture: Architecture, name: str, x: Tensor) -> Tensor:
    """Normalizes each row of x to mean 0 and variance 1, then scales and shifts it."""
    mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
    normal = (x - mean) * tf.math.rsqrt(variance + architecture.layer_norm_eps)
    return normal * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def dense(weights: Weights, name: str, x: Tensor) -> Tensor:
    """Linear layer from x [rows, in] to [rows, out], in the dtype of the weight."""
    weight = weights[f"{name}.weight"]
    y = tf.matmul(tf.cast(x, weight.dtype), weight, transpose_b=True)
    if f"{name}.lora_A" in weights:
        y += tf.matmul(tf.matmul(x, weights[f"{name}.lora_A"], transpose_b=True), weights[f"{name}.lora_B"], transpose_b=True)
    return tf.nn.bias_add(y, tf.cast(weights[f"{name}.bias"], weight.dtype))
