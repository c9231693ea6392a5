"""The encoder and its head (Devlin et al., 2019, and the families that followed).

The weights have the names and the layout of a Hugging Face BertModel
(`encoder.layer.0.attention.self.query.weight`, [out, in]), whatever the family.
"""

import tensorflow as tf

from undertone_model.architecture import Architecture
from undertone_model.encoder.attention import Attention
from undertone_model.encoder.convolution import convolve
from undertone_model.encoder.layers import (
    ACTIVATIONS,
    Dropout,
    Linear,
    Normalize,
    Tensor,
    Weights,
    dense,
    layer_norm,
    no_dropout,
)


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

    `attention_mask` is 1 for tokens and 0 for padding, which is on the right. Linear layers, and
    attention's sum of values, are computed in the dtype of their weights. Everything else is
    computed in float32: layer norms, residual connections, attention scores and logits. If the head
    reads only the first token, the last layer computes only keys and values for the other tokens.
    """
    hidden = embed(weights, architecture, input_ids, dropout, normalize, linear)
    return upper_logits(weights, architecture, 0, hidden, attention_mask, dropout, normalize, linear)


def lower_states(
    weights: Weights, architecture: Architecture, layers: int, input_ids: Tensor, attention_mask: Tensor, linear: Linear = dense
) -> Tensor:
    """Output [batch x length, hidden] of the first `layers` layers, without dropout.

    With 0 layers, it is the embeddings. `layers` is less than the number of layers.
    """
    hidden = embed(weights, architecture, input_ids, no_dropout, layer_norm, linear)
    return run_layers(weights, architecture, range(layers), hidden, attention_mask, no_dropout, layer_norm, linear)


def upper_logits(
    weights: Weights,
    architecture: Architecture,
    first_layer: int,
    hidden: Tensor,
    attention_mask: Tensor,
    dropout: Dropout = no_dropout,
    normalize: Normalize = layer_norm,
    linear: Linear = dense,
) -> Tensor:
    """Logits [batch, labels] of the output `hidden` of the layers before `first_layer`.

    `hidden` is that of `lower_states`. The other arguments are those of `logits`.
    """
    hidden = text_vectors(weights, architecture, first_layer, hidden, attention_mask, dropout, normalize, linear)
    pooled = ACTIVATIONS[architecture.head.activation](linear(weights, "pooler.dense", hidden))
    if architecture.head.norm:
        pooled = normalize(weights, architecture, "pooler.LayerNorm", tf.cast(pooled, tf.float32))
    return linear(weights, "classifier", tf.cast(dropout(pooled), tf.float32))


def text_vectors(
    weights: Weights,
    architecture: Architecture,
    first_layer: int,
    hidden: Tensor,
    attention_mask: Tensor,
    dropout: Dropout = no_dropout,
    normalize: Normalize = layer_norm,
    linear: Linear = dense,
) -> Tensor:
    """Vectors [batch, hidden] of the texts, which are the input of the head.

    The arguments are those of `upper_logits`.
    """
    layers = range(first_layer, architecture.num_hidden_layers)
    hidden = run_layers(weights, architecture, layers, hidden, attention_mask, dropout, normalize, linear)
    if architecture.norm == "pre":
        hidden = normalize(weights, architecture, "encoder.LayerNorm", hidden)
    return mean_rows(architecture, hidden, attention_mask) if architecture.head.pooling == "mean" else hidden


def run_layers(
    weights: Weights,
    architecture: Architecture,
    layers: range,
    hidden: Tensor,
    attention_mask: Tensor,
    dropout: Dropout,
    normalize: Normalize,
    linear: Linear,
) -> Tensor:
    """Output of the last of `layers`, whose input is `hidden` [batch x length, hidden].

    It has one row for each sequence if the head reads only the first token of that layer.
    """
    embedded = hidden
    batch = tf.shape(attention_mask)[0]
    attention = Attention(weights, architecture, attention_mask, linear)

    def attend(layer: int, query_rows: Tensor, rows: Tensor) -> Tensor:
        output = linear(weights, f"encoder.layer.{layer}.attention.output.dense", attention(layer, query_rows, rows))
        return tf.cast(dropout(output), tf.float32)

    def feed_forward(layer: int, rows: Tensor) -> Tensor:
        prefix = f"encoder.layer.{layer}."
        inner = ACTIVATIONS[architecture.activation](linear(weights, prefix + "intermediate.dense", rows))
        if architecture.gated:
            # The new dimension keeps TensorFlow from moving GELU's constant factor to the gate.
            # Without it, TensorFlow does not fuse the GELU with its product.
            gate = linear(weights, prefix + "intermediate.gate", rows)
            inner = tf.squeeze(tf.expand_dims(inner, 0) * tf.expand_dims(gate, 0), 0)
        return tf.cast(dropout(linear(weights, prefix + "output.dense", inner)), tf.float32)

    def norm(name: str, rows: Tensor) -> Tensor:
        return normalize(weights, architecture, f"{name}.LayerNorm", rows)

    for layer in layers:
        prefix = f"encoder.layer.{layer}."
        rows = norm(prefix + "attention", hidden) if architecture.norm == "pre" and layer else hidden
        query_rows = rows
        if architecture.reads_first_token_only(layer):
            query_rows, hidden = (first_rows(architecture, each, batch) for each in (rows, hidden))
        hidden += attend(layer, query_rows, rows)
        if architecture.norm == "pre":
            hidden += feed_forward(layer, norm(prefix + "intermediate", hidden))
        else:
            hidden = norm(prefix + "attention.output", hidden)
            hidden = norm(prefix + "output", hidden + feed_forward(layer, hidden))
        if layer == 0 and architecture.convolution:
            added = convolve(weights, architecture, architecture.convolution, embedded, attention_mask, linear)
            hidden = norm("encoder.conv", hidden + tf.cast(dropout(added), tf.float32))
    return hidden


def first_rows(architecture: Architecture, hidden: Tensor, batch: Tensor) -> Tensor:
    """The rows [batch, hidden] of the first tokens in `hidden` [batch x length, hidden]."""
    return tf.reshape(hidden, [batch, -1, architecture.hidden_size])[:, 0]


def mean_rows(architecture: Architecture, hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """The mean [batch, hidden] over the tokens in `hidden` [batch x length, hidden]."""
    mask = tf.cast(attention_mask, hidden.dtype)[:, :, tf.newaxis]
    rows = tf.reshape(hidden, [tf.shape(attention_mask)[0], -1, architecture.hidden_size])
    return tf.reduce_sum(rows * mask, axis=1) / tf.reduce_sum(mask, axis=1)


def embed(
    weights: Weights, architecture: Architecture, input_ids: Tensor, dropout: Dropout, normalize: Normalize, linear: Linear
) -> Tensor:
    """Embeddings [batch x length, hidden] of tokens and positions."""
    embedded = tf.gather(weights["embeddings.word_embeddings.weight"], input_ids)
    added: list[Tensor] = []
    if architecture.positions.absolute:
        offset = architecture.positions.offset
        added.append(weights["embeddings.position_embeddings.weight"][offset : offset + tf.shape(input_ids)[1]])
    if architecture.type_vocab_size:
        added.append(weights["embeddings.token_type_embeddings.weight"][0])
    if added:
        embedded += sum(added)
    rows = tf.reshape(embedded, [-1, architecture.embedding_size or architecture.hidden_size])
    if architecture.embedding_size and architecture.projects_before_norm:
        rows = linear(weights, "embeddings.projection", rows)
    normal = dropout(normalize(weights, architecture, "embeddings.LayerNorm", rows))
    if architecture.embedding_size and not architecture.projects_before_norm:
        return linear(weights, "embeddings.projection", normal)
    return normal
