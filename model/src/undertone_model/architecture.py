"""Structure and sizes of an encoder, and the shapes of its weights."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Activation: TypeAlias = Literal["gelu", "gelu_tanh", "relu", "silu", "tanh"]
"""Activation function. "gelu" is the exact GELU, "gelu_tanh" its approximation with tanh."""


@dataclass(frozen=True, slots=True)
class AbsolutePositions:
    """An embedding of each position is added to the embedding of its token.

    The first token has the position `offset`, so that a model has `offset` fewer tokens than
    positions.
    """

    offset: int = 0


Positions: TypeAlias = AbsolutePositions
"""How an encoder represents the order of the tokens."""


@dataclass(frozen=True, slots=True)
class Head:
    """Layers after the encoder: pooling, a linear layer `pooler.dense` with an activation, and the
    linear layer `classifier`.

    The pooling "cls" takes the vector of the first token, "mean" the mean over all tokens.
    """

    pooling: Literal["cls", "mean"] = "cls"
    activation: Activation = "tanh"


@dataclass(frozen=True, slots=True)
class Architecture:
    """Structure and sizes of an encoder. Sizes have the names of Hugging Face's configurations.

    The defaults are BERT-base. `family` is the `model_type` of the configuration. `embedding_size`
    is the size of the embeddings if a linear layer `embeddings.projection` maps them to
    `hidden_size`; else it is None. `type_vocab_size` is 0 without embeddings of token types.
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
            "embeddings.position_embeddings.weight": (self.max_position_embeddings, embedding),
        }
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
            linear[prefix + "intermediate.dense"] = (inner, hidden)
            linear[prefix + "output.dense"] = (hidden, inner)
            norms |= {prefix + "attention.output.LayerNorm": hidden, prefix + "output.LayerNorm": hidden}
        for name, (rows, columns) in linear.items():
            shapes |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
        for name, size in norms.items():
            shapes |= {f"{name}.weight": (size,), f"{name}.bias": (size,)}
        return shapes

    def encoder_parameters(self) -> int:
        """Number of weights in the encoder's linear layers, which do most of the computation."""
        layer = 4 * self.hidden_size * self.hidden_size + 2 * self.hidden_size * self.intermediate_size
        return self.num_hidden_layers * layer
