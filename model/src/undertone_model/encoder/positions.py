"""Attention scores, which depend on how an encoder represents the order of the tokens."""

from typing import Protocol

from undertone_model.architecture import AbsolutePositions, Architecture, DisentangledPositions, RotaryPositions
from undertone_model.encoder.disentangled import DisentangledScores
from undertone_model.encoder.layers import Linear, Tensor, Weights
from undertone_model.encoder.relative_bias import BiasedProduct
from undertone_model.encoder.scaled_product import ScaledProduct


class AttentionScores(Protocol):
    """Computes the attention scores of one call. Holds what its layers share."""

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, padding: Tensor) -> Tensor:
        """Scores [batch, heads, n, length] before the softmax.

        `queries` [batch, heads, n, size] belong to the first n tokens: n is the length, or 1 in the
        last layer if the head reads only the first token. `keys` [batch, heads, length, size]
        belong to all tokens. `padding` [batch, 1, 1, length] is 0 for tokens and a very large
        negative number for padding; it is added to the scores.
        """


def attention_scores(weights: Weights, architecture: Architecture, length: Tensor, linear: Linear) -> AttentionScores:
    """The attention scores of an architecture for sequences of `length` tokens."""
    match architecture.positions:
        case AbsolutePositions(bias=bias):
            return BiasedProduct(weights, architecture, bias, length) if bias else ScaledProduct(architecture)
        case RotaryPositions():
            return ScaledProduct(architecture)
        case DisentangledPositions() as positions:
            return DisentangledScores(weights, architecture, positions, length, linear)
