"""Structure and sizes of an encoder, and the shapes of its weights."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

Activation: TypeAlias = Literal["gelu", "gelu_tanh", "relu", "silu", "tanh"]
"""Activation function. "gelu" is the exact GELU, "gelu_tanh" its approximation with tanh."""

Part: TypeAlias = Literal["norm", "attention", "feed_forward", "head"]
"""Layer norms, and the linear layers of attention, of the feed-forward networks and of the head."""


@dataclass(frozen=True, slots=True)
class RelativeBias:
    """A number for each head and bucket of distances is added to the attention scores of all
    layers (Raffel et al., 2020): the weight `embeddings.relative_bias` [buckets, heads].

    Half of the buckets are for keys at or before the query. Of a half, the first half has a bucket
    for each distance, and the rest grows with the logarithm of the distance up to `max_distance`.
    """

    buckets: int = 32
    max_distance: int = 128


@dataclass(frozen=True, slots=True)
class AbsolutePositions:
    """An embedding of each position is added to the embedding of its token.

    The first token has the position `offset`, so that a model has `offset` fewer tokens than
    positions. `bias` represents the distances of tokens in addition.
    """

    offset: int = 0
    bias: RelativeBias | None = None


@dataclass(frozen=True, slots=True)
class RotaryLayer:
    """Rotation and reach of the attention of one layer.

    `theta` is the base of the angles. A token attends to tokens at a distance of at most `reach`
    tokens, itself included; None means all tokens.
    """

    theta: float
    reach: int | None = None


@dataclass(frozen=True, slots=True)
class RotaryPositions:
    """Queries and keys are rotated by angles that grow with their position (Su et al., 2021).

    Row 2j and row 2j + 1 of a head are a pair, which is rotated as one complex number by the angle
    position * theta ** (-2j / size), where size is the number of rows of a head.
    """

    layers: tuple[RotaryLayer, ...]
    offset: ClassVar[int] = 0


Positions: TypeAlias = AbsolutePositions | RotaryPositions
"""How an encoder represents the order of the tokens."""


@dataclass(frozen=True, slots=True)
class Head:
    """Layers after the encoder: pooling, a linear layer `pooler.dense` with an activation, and the
    linear layer `classifier`. With `norm`, a layer norm `pooler.LayerNorm` follows the activation.

    The pooling "cls" takes the vector of the first token, "mean" the mean over all tokens.
    """

    pooling: Literal["cls", "mean"] = "cls"
    activation: Activation = "tanh"
    norm: bool = False


@dataclass(frozen=True, slots=True)
class Architecture:
    """Structure and sizes of an encoder. Sizes have the names of Hugging Face's configurations.

    The defaults are BERT-base. `family` is the `model_type` of the configuration. `embedding_size`
    is the size of the embeddings if a linear layer `embeddings.projection` maps them to
    `hidden_size`; else it is None. `type_vocab_size` is 0 without embeddings of token types.

    With the norm "post", a layer norm follows the residual sum of attention and of the feed-forward
    network. With "pre", a layer norm precedes each of the two, except the attention of the first
    layer, and `encoder.LayerNorm` follows the last layer. A gated feed-forward network multiplies
    the output of its activation by that of a second linear layer, `intermediate.gate`. The biases
    of the parts in `unbiased` are zeros.
    """

    family: str = "bert"
    num_hidden_layers: int = 12
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_attention_heads: int = 12
    vocab_size: int = 30522
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    embedding_size: int | None = None
    activation: Activation = "gelu"
    norm: Literal["post", "pre"] = "post"
    gated: bool = False
    unbiased: frozenset[Part] = frozenset()
    positions: Positions = AbsolutePositions()
    head: Head = Head()

    @property
    def max_tokens(self) -> int:
        """Maximum number of tokens of a sequence, special tokens included."""
        return self.max_position_embeddings - self.positions.offset

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all weights by name, except the classifier's. Linear layers are [out, in].

        The names are those of a BertModel, whatever the family.
        """
        hidden, inner = self.hidden_size, self.intermediate_size
        embedding = self.embedding_size or hidden
        shapes: dict[str, tuple[int, ...]] = {
            "embeddings.word_embeddings.weight": (self.vocab_size, embedding),
        }
        if isinstance(self.positions, AbsolutePositions):
            shapes["embeddings.position_embeddings.weight"] = (self.max_position_embeddings, embedding)
            if self.positions.bias:
                shapes["embeddings.relative_bias.weight"] = (self.positions.bias.buckets, self.num_attention_heads)
        if self.type_vocab_size:
            shapes["embeddings.token_type_embeddings.weight"] = (self.type_vocab_size, embedding)
        linear = {"pooler.dense": (hidden, hidden)}
        if self.embedding_size:
            linear["embeddings.projection"] = (hidden, embedding)
        norms = {"embeddings.LayerNorm": embedding}
        for layer in range(self.num_hidden_layers):
            prefix = f"encoder.layer.{layer}."
            for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
                linear[prefix + name] = (hidden, hidden)
            for name in ("intermediate.dense", "intermediate.gate") if self.gated else ("intermediate.dense",):
                linear[prefix + name] = (inner, hidden)
            linear[prefix + "output.dense"] = (hidden, inner)
        norms |= dict.fromkeys(self._layer_norms(), hidden)
        for name, (rows, columns) in linear.items():
            shapes |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
        for name, size in norms.items():
            shapes |= {f"{name}.weight": (size,), f"{name}.bias": (size,)}
        return shapes

    def _layer_norms(self) -> Iterator[str]:
        for layer in range(self.num_hidden_layers):
            if self.norm == "post":
                yield f"encoder.layer.{layer}.attention.output.LayerNorm"
                yield f"encoder.layer.{layer}.output.LayerNorm"
            else:
                if layer:
                    yield f"encoder.layer.{layer}.attention.LayerNorm"
                yield f"encoder.layer.{layer}.intermediate.LayerNorm"
        if self.norm == "pre":
            yield "encoder.LayerNorm"
        if self.head.norm:
            yield "pooler.LayerNorm"

    def encoder_parameters(self) -> int:
        """Number of weights in the encoder's linear layers, which do most of the computation."""
        feed_forward = (3 if self.gated else 2) * self.hidden_size * self.intermediate_size
        layer = 4 * self.hidden_size * self.hidden_size + feed_forward
        return self.num_hidden_layers * layer
