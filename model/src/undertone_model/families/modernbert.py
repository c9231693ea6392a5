"""ModernBERT (Warner et al., 2024): ModernBertModel and ModernBertForSequenceClassification."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from undertone_model.architecture import Architecture, Head, Part, RotaryLayer, RotaryPositions
from undertone_model.arrays import NamedArrays
from undertone_model.configuration import Configuration
from undertone_model.errors import CheckpointError
from undertone_model.families.activations import read_activation
from undertone_model.families.names import TensorNames

LAYER_TYPES: Final = ("full_attention", "sliding_attention")

BIASES: Final[dict[Part, str]] = {
    "norm": "norm_bias",
    "attention": "attention_bias",
    "feed_forward": "mlp_bias",
    "head": "classifier_bias",
}
"""Fields of a configuration that say whether a part has biases."""

NAMES: Final = TensorNames(
    prefix="model.",
    layers="layers.",
    in_layers={
        "attention.LayerNorm": "attn_norm",
        "attention.self.query": "attn.Wqkv",
        "attention.self.key": "attn.Wqkv",
        "attention.self.value": "attn.Wqkv",
        "attention.output.dense": "attn.Wo",
        "intermediate.LayerNorm": "mlp_norm",
        "intermediate.dense": "mlp.Wi",
        "intermediate.gate": "mlp.Wi",
        "output.dense": "mlp.Wo",
    },
    modules={
        "embeddings.word_embeddings": "model.embeddings.tok_embeddings",
        "embeddings.LayerNorm": "model.embeddings.norm",
        "encoder.LayerNorm": "model.final_norm",
        "pooler.dense": "head.dense",
        "pooler.LayerNorm": "head.norm",
        "classifier": "classifier",
    },
)
"""attn.Wqkv and mlp.Wi have the rows of several linear layers."""

ROWS: Final = {
    "attention.self.query": (0, 3),
    "attention.self.key": (1, 3),
    "attention.self.value": (2, 3),
    "intermediate.dense": (0, 2),
    "intermediate.gate": (1, 2),
}
"""Linear layers that share a tensor: the index of their part, and the number of parts."""


def architecture(configuration: Configuration) -> Architecture:
    """The architecture of a ModernBertConfig. As in Hugging Face, the default sizes are
    ModernBERT-base.
    """
    layers = configuration.size("num_hidden_layers", 22)
    hidden, heads = configuration.size("hidden_size", 768), configuration.size("num_attention_heads", 12)
    if hidden // heads % 2:
        raise CheckpointError(
            f"{configuration.path}: hidden_size {hidden} with {heads} attention heads: the size of a head must be even"
        )
    return Architecture(
        family="modernbert",
        num_hidden_layers=layers,
        hidden_size=hidden,
        intermediate_size=configuration.size("intermediate_size", 1152),
        num_attention_heads=heads,
        vocab_size=configuration.size("vocab_size", 50368),
        max_position_embeddings=configuration.size("max_position_embeddings", 8192),
        type_vocab_size=0,
        layer_norm_eps=configuration.number("norm_eps", 1e-5),
        activation=read_activation(configuration, "hidden_activation"),
        norm="pre",
        gated=True,
        unbiased=frozenset(
            part for part, field in BIASES.items() if not configuration.choice(field, (True, False), default=False)
        ),
        positions=RotaryPositions(tuple(_rotary_layers(configuration, layers))),
        head=Head(
            pooling=configuration.choice("classifier_pooling", ("cls", "mean"), default="cls"),
            activation=read_activation(configuration, "classifier_activation"),
            norm=True,
        ),
    )


def _rotary_layers(configuration: Configuration, count: int) -> Iterator[RotaryLayer]:
    """Base and reach of each layer. Newer configurations have the fields layer_types and
    rope_parameters, older ones global_attn_every_n_layers, global_rope_theta and local_rope_theta.
    """
    types = configuration.fields.get("layer_types")
    if types is None:
        period = configuration.size("global_attn_every_n_layers", 3)
        types = [LAYER_TYPES[index % period > 0] for index in range(count)]
    if not isinstance(types, list) or len(types) != count or any(kind not in LAYER_TYPES for kind in types):
        expected = f"a list of {count} times {' or '.join(map(repr, LAYER_TYPES))}"
        raise CheckpointError(f"{configuration.path}: layer_types is {types!r}, expected {expected}")
    configuration.choice("rope_scaling", (None,), default=None)
    everywhere = RotaryLayer(_theta(configuration, "full_attention", "global_rope_theta", 160_000.0))
    reach = configuration.size("local_attention", 128) // 2
    local = RotaryLayer(_theta(configuration, "sliding_attention", "local_rope_theta", 10_000.0), reach)
    return (local if kind == "sliding_attention" else everywhere for kind in types)


def _theta(configuration: Configuration, layer_type: str, older: str, default: float) -> float:
    """The base of the angles of layers of this type."""
    by_type = configuration.fields.get("rope_parameters") or {}
    parameters = by_type.get(layer_type) or {} if isinstance(by_type, dict) else None
    if not isinstance(parameters, dict):
        raise CheckpointError(
            f"{configuration.path}: rope_parameters is {by_type!r}, expected an object for each type of layer"
        )
    of_type = Configuration(configuration.path, parameters)
    of_type.choice("rope_type", ("default",), default="default")
    return of_type.number("rope_theta", configuration.number(older, default))


def weights(tensors: NamedArrays, architecture: Architecture) -> NamedArrays:
    """The weights of an architecture that are in `tensors`, and the biases that are zeros."""
    found = NAMES.weights(tensors, architecture)
    for name, shape in architecture.weight_shapes().items():
        if name.endswith(".bias") and _part(name) in architecture.unbiased:
            found[name] = np.zeros(shape, np.float32)
        elif name in found:
            found[name] = _rows(name, found[name], shape, architecture.num_attention_heads)
    return found


def _part(name: str) -> Part:
    if ".LayerNorm." in name:
        return "norm"
    if name.startswith("pooler."):
        return "head"
    return "attention" if ".attention." in name else "feed_forward"


def _rows(name: str, array: NDArray[np.float32], shape: tuple[int, ...], heads: int) -> NDArray[np.float32]:
    """The rows of `array` that belong to the weight `name`. Arrays of unexpected size are returned
    unchanged.
    """
    layer = next((layer for layer in ROWS if f".{layer}." in name), None)
    if layer is None or len(array) != shape[0] * ROWS[layer][1]:
        return array
    index, parts = ROWS[layer]
    rows = np.split(array, parts)[index]
    return _pairs(rows, heads) if layer in ("attention.self.query", "attention.self.key") else rows


def _pairs(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """The rows of each head, with the pairs of a rotation side by side (see RotaryPositions).

    A checkpoint has the first elements of all pairs of a head before the second ones. The scores do
    not depend on the order, which is the same for queries and keys.
    """
    size = len(rows) // heads
    pairs = rows.reshape(heads, 2, size // 2, *rows.shape[1:]).swapaxes(1, 2)
    return np.ascontiguousarray(pairs).reshape(rows.shape)
