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

    Half of the buckets are for keys at or before the query, and half for keys after it. The first
    half of these buckets have one distance each. The other buckets have ranges of distances, whose
    size grows with the distance (logarithmic) up to `max_distance`.
    """

    buckets: int = 32
    max_distance: int = 128


@dataclass(frozen=True, slots=True)
class AbsolutePositions:
    """An embedding of each position is added to the embedding of its token.

    The first token has the position `offset`, so that a sequence has at most `offset` fewer tokens
    than the model has positions. `bias` also represents the distances of tokens.
    """

    offset: int = 0
    bias: RelativeBias | None = None
    absolute: ClassVar[bool] = True


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
    absolute: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class DisentangledPositions:
    """Attention scores have terms for the distance between two tokens (DeBERTa, He et al., 2021).

    `encoder.rel_embeddings` has 2 * span rows: the embeddings of the distances from -span to
    span - 1. A larger distance has the embedding of the nearest of them. With `max_distance`, each
    distance up to span / 2 has a row, and buckets of logarithmic size share the other rows, up to
    `max_distance`.

    `content_to_position` multiplies the queries of tokens by the keys of distances, and
    `position_to_content` the queries of distances by the keys of tokens. If `shared`, the linear
    layers of tokens compute the keys and queries of distances; else each layer has linear layers
    for them. If `normalized`, the layer norm `encoder.LayerNorm` precedes those layers. If
    `absolute`, the model also has embeddings of positions.
    """

    span: int
    max_distance: int | None = None
    content_to_position: bool = True
    position_to_content: bool = True
    shared: bool = True
    normalized: bool = True
    absolute: bool = False
    offset: ClassVar[int] = 0

    def linear_layers(self) -> tuple[str, ...]:
        """Names of the linear layers of distances, in `attention.self` of each layer."""
        terms = {"distance_key": self.content_to_position, "distance_query": self.position_to_content}
        return () if self.shared else tuple(name for name, exists in terms.items() if exists)


Positions: TypeAlias = AbsolutePositions | DisentangledPositions | RotaryPositions
"""How an encoder represents the order of the tokens."""


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution of the embeddings over neighbouring tokens, which is added to the output of the
    first layer: a linear layer `encoder.conv` of `kernel_size` tokens, its activation, and the
    layer norm `encoder.conv.LayerNorm` of the sum.

    The weight is [out, kernel_size * in]. `kernel_size` is odd.
    """

    kernel_size: int = 3
    activation: Activation = "tanh"


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
    `hidden_size`; else it is None. That layer follows the layer norm of the embeddings, or precedes
    it with `projects_before_norm`. `type_vocab_size` is 0 without embeddings of token types.

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
    projects_before_norm: bool = False
    activation: Activation = "gelu"
    norm: Literal["post", "pre"] = "post"
    gated: bool = False
    unbiased: frozenset[Part] = frozenset()
    positions: Positions = AbsolutePositions()
    convolution: Convolution | None = None
    head: Head = Head()

    @property
    def max_tokens(self) -> int:
        """Maximum number of tokens of a sequence, special tokens included."""
        return self.max_position_embeddings - self.positions.offset

    def reads_first_token_only(self, layer: int) -> bool:
        """Whether the output of a layer is needed for the first token only."""
        return layer == self.num_hidden_layers - 1 and self.head.pooling == "cls"

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all weights by name, except the classifier's. Linear layers are [out, in].

        The names are those of a BertModel, whatever the family.
        """
        hidden, inner = self.hidden_size, self.intermediate_size
        embedding = self.embedding_size or hidden
        shapes: dict[str, tuple[int, ...]] = {
            "embeddings.word_embeddings.weight": (self.vocab_size, embedding),
        }
        if self.positions.absolute:
            shapes["embeddings.position_embeddings.weight"] = (self.max_position_embeddings, embedding)
        if isinstance(self.positions, AbsolutePositions) and self.positions.bias:
            shapes["embeddings.relative_bias.weight"] = (self.positions.bias.buckets, self.num_attention_heads)
        if self.type_vocab_size:
            shapes["embeddings.token_type_embeddings.weight"] = (self.type_vocab_size, embedding)
        linear = {"pooler.dense": (hidden, hidden)}
        if self.embedding_size:
            linear["embeddings.projection"] = (hidden, embedding)
        norms = {"embeddings.LayerNorm": hidden if self.projects_before_norm else embedding}
        if self.convolution:
            linear["encoder.conv"] = (hidden, self.convolution.kernel_size * hidden)
            norms["encoder.conv.LayerNorm"] = hidden
        of_distances: tuple[str, ...] = ()
        if isinstance(self.positions, DisentangledPositions):
            shapes["encoder.rel_embeddings.weight"] = (2 * self.positions.span, hidden)
            of_distances = self.positions.linear_layers()
            if self.positions.normalized:
                norms["encoder.LayerNorm"] = hidden
        for layer in range(self.num_hidden_layers):
            prefix = f"encoder.layer.{layer}."
            for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
                linear[prefix + name] = (hidden, hidden)
            linear |= {f"{prefix}attention.self.{name}": (hidden, hidden) for name in of_distances}
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
        """Number of weights in the encoder's linear layers, which do most of the computation.

        Keys and queries of distances are constants of an export, so their layers do not count.
        """
        feed_forward = (3 if self.gated else 2) * self.hidden_size * self.intermediate_size
        layer = 4 * self.hidden_size * self.hidden_size + feed_forward
        convolution = self.convolution.kernel_size * self.hidden_size * self.hidden_size if self.convolution else 0
        return self.num_hidden_layers * layer + convolution
