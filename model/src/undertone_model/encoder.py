"""BERT (Devlin et al., 2019) as a TensorFlow function of its weights, for training and serving.

The weights have the names and the layout of a Hugging Face checkpoint
(`encoder.layer.0.attention.self.query.weight`, [out, in]), so that checkpoints need no conversion.
If a linear layer also has `….lora_A` [rank, in] and `….lora_B` [out, rank], their product is added
to its weight (LoRA, Hu et al., 2021). Training uses this unmerged form.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import tensorflow as tf

from undertone_model.architecture import Architecture

Tensor: TypeAlias = tf.Tensor
Weights: TypeAlias = Mapping[str, Tensor]
Dropout: TypeAlias = Callable[[Tensor], Tensor]
Normalize: TypeAlias = Callable[[Weights, Architecture, str, Tensor], Tensor]
Linear: TypeAlias = Callable[[Weights, str, Tensor], Tensor]


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


def logits(
    weights: Weights,
    architecture: Architecture,
    input_ids: Tensor,
    attention_mask: Tensor,
    dropout: Dropout = no_dropout,
    normalize: Normalize = layer_norm,
    linear: Linear = dense,
) -> Tensor:
    """Logits [batch, labels] of token ids [batch, length] (int32).

    `attention_mask` is 1 for tokens and 0 for padding. Linear layers, and attention's sum of
    values, are computed in the dtype of their weights. Everything else is computed in float32:
    layer norms, residual connections, attention scores and logits. The head reads only the first
    token, so the last layer computes only keys and values for the other tokens.
    """
    hidden = embed(weights, architecture, input_ids, dropout, normalize)
    # The bias of the attention scores: 0 for tokens, a very large negative number for padding. It
    # is reshaped and not sliced, because TensorFlow fuses only this form with the product of
    # queries and keys.
    bias = tf.reshape((1.0 - tf.cast(attention_mask, tf.float32)) * -1e9, [-1, 1, 1, tf.shape(attention_mask)[1]])
    batch = tf.shape(input_ids)[0]
    for layer in range(architecture.num_hidden_layers):
        prefix = f"encoder.layer.{layer}."
        query_rows = hidden
        if layer == architecture.num_hidden_layers - 1:
            query_rows = tf.reshape(hidden, [batch, -1, architecture.hidden_size])[:, 0]
        attended = attention(weights, architecture, prefix + "attention.self.", query_rows, hidden, bias, batch, linear)
        query_rows += tf.cast(dropout(linear(weights, prefix + "attention.output.dense", attended)), query_rows.dtype)
        query_rows = normalize(weights, architecture, prefix + "attention.output.LayerNorm", query_rows)
        inner = tf.nn.gelu(linear(weights, prefix + "intermediate.dense", query_rows), approximate=False)
        hidden = query_rows + tf.cast(dropout(linear(weights, prefix + "output.dense", inner)), query_rows.dtype)
        hidden = normalize(weights, architecture, prefix + "output.LayerNorm", hidden)
    pooled = tf.tanh(linear(weights, "pooler.dense", hidden))
    return linear(weights, "classifier", tf.cast(dropout(pooled), tf.float32))


def embed(weights: Weights, architecture: Architecture, input_ids: Tensor, dropout: Dropout, normalize: Normalize) -> Tensor:
    """Embeddings [batch x length, hidden] of tokens and positions."""
    words = tf.gather(weights["embeddings.word_embeddings.weight"], input_ids)
    positions = weights["embeddings.position_embeddings.weight"][: tf.shape(input_ids)[1]]
    segment = weights["embeddings.token_type_embeddings.weight"][0]
    summed = tf.reshape(words + (positions + segment), [-1, architecture.hidden_size])
    return dropout(normalize(weights, architecture, "embeddings.LayerNorm", summed))


def attention(
    weights: Weights,
    architecture: Architecture,
    prefix: str,
    query_rows: Tensor,
    hidden: Tensor,
    bias: Tensor,
    batch: Tensor,
    linear: Linear,
) -> Tensor:
    """Scaled dot-product attention of `query_rows` [batch x n, hidden] over `hidden` [batch x
    length, hidden].

    Returns the concatenated heads [batch x n, hidden].
    """
    heads = architecture.num_attention_heads
    size = architecture.hidden_size // heads

    def split(name: str, x: Tensor) -> Tensor:
        return tf.transpose(tf.reshape(linear(weights, prefix + name, x), [batch, -1, heads, size]), [0, 2, 1, 3])

    queries, keys = (tf.cast(split(name, x), bias.dtype) for name, x in (("query", query_rows), ("key", hidden)))
    values = split("value", hidden)
    scores = tf.matmul(queries, keys, transpose_b=True) * (size**-0.5) + bias
    context = tf.matmul(tf.cast(tf.nn.softmax(scores), values.dtype), values)
    # The shape is that of `query_rows`, because TensorFlow fuses the sum that follows only if it
    # knows that both shapes are equal.
    return tf.reshape(tf.transpose(context, [0, 2, 1, 3]), tf.shape(query_rows))
