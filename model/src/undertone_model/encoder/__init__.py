"""A transformer encoder as a TensorFlow function of its weights, for training and serving."""

from undertone_model.encoder.disentangled import fold_distances
from undertone_model.encoder.encoder import logits, lower_states, text_vectors, upper_logits
from undertone_model.encoder.layers import Dropout, Linear, Normalize, Tensor, Weights, dense, layer_norm, no_dropout

__all__ = [
    "Dropout",
    "Linear",
    "Normalize",
    "Tensor",
    "Weights",
    "dense",
    "fold_distances",
    "layer_norm",
    "logits",
    "lower_states",
    "no_dropout",
    "text_vectors",
    "upper_logits",
]
