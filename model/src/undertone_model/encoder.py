"""BERT (Devlin et al., 2019) as one TensorFlow function of its weights; what trains is what serves.

Weights keep the names and the layout of a Hugging Face checkpoint (`encoder.layer.0.attention.self.query.weight`, [out, in]),
so a checkpoint is a model without any conversion. A linear layer that also has `….lora_A` [rank, in] and `….lora_B` [out, rank]
adds their product to its weight (LoRA, Hu et al., 2021), unmerged while training.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import tensorflow as tf

from undertone_model.architecture import Architecture

Tensor: TypeAlias = tf.Tensor
Weights: TypeAlias = Mapping[str, Tensor]
Dropout: TypeAlias = Callable[[Tensor], Tensor]
Normalise: TypeAlias = Callable[[Weights, Architecture, str, Tensor], Tensor]
Linear: TypeAlias = Callable[[Weights, str, Tensor], Tensor]


def keep_all(x: Tensor) -> Tensor:
    """The dropout of a model that serves: none."""
    return x


def layer_norm(weights: Weights, architecture: Architecture, name: str, x: Tensor) -> Tensor:
    """Normalises each row of x [rows, hidden] to mean 0 and variance 1, then scales and shifts it."""
    mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
    normal = (x - mean) * tf.math.rsqrt(variance + architecture.layer_norm_eps)
    return normal * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def dense(weights: Weights, name: str, x: Tensor) -> Tensor:
    """Linear layer: x [rows, in] to [rows, out], in the type of the weight."""
    weight = weights[f"{name}.weight"]
    y = tf.matmul(tf.cast(x, weight.dtype), weight, transpose_b=True)
    if f"{name}.lora_A" in weights:
        y += tf.matmul(tf.matmul(x, weights[f"{name}.lora_A"], transpose_b=True), weights[f"{name}.lora_B"], transpose_b=True)
    return tf.nn.bias_add(y, tf.cast(weights[f"{name}.bias"], weight.dtype))


def logits(
    weights: Weights,
    architecture: Architecture,
    input_ids: Tensor,
    attention_mask: Tensor,
    dropout: Dropout = keep_all,
    normalise: Normalise = layer_norm,
    linear: Linear = dense,
) -> Tensor:
    """Scores [batch, labels] of token ids [batch, length] (int32), where `attention_mask` is 1 for tokens and 0 for padding.

    Linear layers are computed in the type of their weights, and so are the values that attention sums up. All else is computed
    in float32: layer norms, what is passed from one to the next, attention's scores, the scores that are returned. The head
    reads the first token's vector only, so that in the last layer nothing but keys and values is computed for the others.
    """
    hidden = embed(weights, architecture, input_ids, dropout, normalise)
    # Added to the attention scores: nothing where there is a token, minus nearly infinity where there is padding. Reshaped
    # rather than sliced, or TensorFlow does not fuse the sum with the product of queries and keys.
    bias = tf.reshape((1.0 - tf.cast(attention_mask, tf.float32)) * -1e9, [-1, 1, 1, tf.shape(attention_mask)[1]])
    batch = tf.shape(input_ids)[0]
    for layer in range(architecture.num_hidden_layers):
        prefix = f"encoder.layer.{layer}."
        asking = hidden
        if layer == architecture.num_hidden_layers - 1:
            asking = tf.reshape(hidden, [batch, -1, architecture.hidden_size])[:, 0]
        attended = attention(weights, architecture, prefix + "attention.self.", asking, hidden, bias, batch, linear)
        asking += tf.cast(dropout(linear(weights, prefix + "attention.output.dense", attended)), asking.dtype)
        asking = normalise(weights, architecture, prefix + "attention.output.LayerNorm", asking)
        inner = tf.nn.gelu(linear(weights, prefix + "intermediate.dense", asking), approximate=False)
        hidden = asking + tf.cast(dropout(linear(weights, prefix + "output.dense", inner)), asking.dtype)
        hidden = normalise(weights, architecture, prefix + "output.LayerNorm", hidden)
    pooled = tf.tanh(linear(weights, "pooler.dense", hidden))
    return linear(weights, "classifier", tf.cast(dropout(pooled), tf.float32))


def embed(weights: Weights, architecture: Architecture, input_ids: Tensor, dropout: Dropout, normalise: Normalise) -> Tensor:
    """Vectors [batch x length, hidden] of tokens and their positions; every token is of the first segment."""
    words = tf.gather(weights["embeddings.word_embeddings.weight"], input_ids)
    positions = weights["embeddings.position_embeddings.weight"][: tf.shape(input_ids)[1]]
    segment = weights["embeddings.token_type_embeddings.weight"][0]
    summed = tf.reshape(words + (positions + segment), [-1, architecture.hidden_size])
    return dropout(normalise(weights, architecture, "embeddings.LayerNorm", summed))


def attention(
    weights: Weights,
    architecture: Architecture,
    prefix: str,
    asking: Tensor,
    hidden: Tensor,
    bias: Tensor,
    batch: Tensor,
    linear: Linear,
) -> Tensor:
    """Scaled dot-product attention of `asking` [batch x n, hidden] over `hidden` [batch x length, hidden].

    The heads are concatenated again: [batch x n, hidden].
    """
    heads = architecture.num_attention_heads
    size = architecture.hidden_size // heads

    def split(name: str, x: Tensor) -> Tensor:
        return tf.transpose(tf.reshape(linear(weights, prefix + name, x), [batch, -1, heads, size]), [0, 2, 1, 3])

    queries, keys = (tf.cast(split(name, x), bias.dtype) for name, x in (("query", asking), ("key", hidden)))
    values = split("value", hidden)
    scores = tf.matmul(queries, keys, transpose_b=True) * (size**-0.5) + bias
    context = tf.matmul(tf.cast(tf.nn.softmax(scores), values.dtype), values)
    # To the very shape of `asking`: the sum that follows is only fused where TensorFlow knows that both are of one shape.
    return tf.reshape(tf.transpose(context, [0, 2, 1, 3]), tf.shape(asking))
