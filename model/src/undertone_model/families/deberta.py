"""DeBERTa-v2 and DeBERTa-v3 (He et al., 2021): DebertaV2ForSequenceClassification."""

from typing import Final

import numpy as np

from undertone_model.architecture import Architecture, Convolution, DisentangledPositions, Head
from undertone_model.arrays import NamedArrays
from undertone_model.configuration import Configuration
from undertone_model.errors import CheckpointError
from undertone_model.families.activations import read_activation
from undertone_model.families.names import TensorNames

NAMES: Final = TensorNames(
    prefix="deberta.",
    in_layers={
        "attention.self.query": "attention.self.query_proj",
        "attention.self.key": "attention.self.key_proj",
        "attention.self.value": "attention.self.value_proj",
        "attention.self.distance_key": "attention.self.pos_key_proj",
        "attention.self.distance_query": "attention.self.pos_query_proj",
    },
    modules={
        "embeddings.projection": "deberta.embeddings.embed_proj",
        "encoder.conv": "deberta.encoder.conv.conv",
        "pooler.dense": "pooler.dense",
        "classifier": "classifier",
    },
)

TERMS: Final = ("c2p", "p2c")


def architecture(configuration: Configuration) -> Architecture:
    """The architecture of a DebertaV2Config. As in Hugging Face, the default sizes are
    DeBERTa-v2-xlarge.
    """
    hidden = configuration.size("hidden_size", 1536)
    heads = configuration.size("num_attention_heads", 24)
    embedding = configuration.size("embedding_size", hidden)
    configuration.choice("pooler_hidden_size", (hidden,), default=hidden)
    configuration.choice("attention_head_size", (hidden // heads,), default=hidden // heads)
    return Architecture(
        family="deberta-v2",
        num_hidden_layers=configuration.size("num_hidden_layers", 24),
        hidden_size=hidden,
        intermediate_size=configuration.size("intermediate_size", 6144),
        num_attention_heads=heads,
        vocab_size=configuration.size("vocab_size", 128100),
        max_position_embeddings=configuration.size("max_position_embeddings", 512),
        type_vocab_size=configuration.index("type_vocab_size", 0),
        layer_norm_eps=configuration.number("layer_norm_eps", 1e-7),
        embedding_size=None if embedding == hidden else embedding,
        projects_before_norm=True,
        activation=read_activation(configuration),
        positions=_positions(configuration),
        convolution=_convolution(configuration),
        head=Head(activation=read_activation(configuration, "pooler_hidden_act")),
    )


def _positions(configuration: Configuration) -> DisentangledPositions:
    configuration.choice("relative_attention", (True,), default=False)
    terms = configuration.fields.get("pos_att_type") or []
    names = [name.strip() for name in terms.lower().split("|")] if isinstance(terms, str) else terms
    if not isinstance(names, list) or any(name not in TERMS for name in names):
        raise CheckpointError(f"{configuration.path}: pos_att_type is {terms!r}; only 'c2p' and 'p2c' are supported")
    maximum = _positive(configuration, "max_relative_positions") or configuration.size("max_position_embeddings", 512)
    buckets = _positive(configuration, "position_buckets")
    if buckets and not 1 <= buckets // 2 < maximum - 1:
        raise CheckpointError(
            f"{configuration.path}: position_buckets is {buckets} for {maximum} relative positions; "
            f"expected 2 to {2 * maximum - 3}"
        )
    return DisentangledPositions(
        span=buckets or maximum,
        max_distance=maximum if buckets else None,
        content_to_position="c2p" in names,
        position_to_content="p2c" in names,
        shared=configuration.choice("share_att_key", (True, False), default=False),
        normalized=configuration.choice("norm_rel_ebd", ("none", "layer_norm"), default="none") == "layer_norm",
        absolute=configuration.choice("position_biased_input", (True, False), default=True),
    )


def _positive(configuration: Configuration, name: str) -> int | None:
    """A positive integer, or None for -1 and 0."""
    return None if configuration.fields.get(name, -1) in (-1, 0) else configuration.size(name, 1)


def _convolution(configuration: Configuration) -> Convolution | None:
    size = _positive(configuration, "conv_kernel_size")
    if size is None:
        return None
    configuration.choice("conv_kernel_size", (1, 3, 5, 7, 9), default=3)
    configuration.choice("conv_groups", (1,), default=1)
    if configuration.size("num_hidden_layers", 24) == 1:
        raise CheckpointError(f"{configuration.path}: conv_kernel_size is {size} with one layer; expected two layers or more")
    return Convolution(size, read_activation(configuration, "conv_act", default="tanh"))


def weights(tensors: NamedArrays, architecture: Architecture, names: TensorNames = NAMES) -> NamedArrays:
    """The weights of the architecture in `tensors`. The convolution becomes a linear layer, and the
    projection of the embeddings, which has no bias, gets a bias of zeros.
    """
    named = names.weights(tensors, architecture)
    if (kernel := named.get("encoder.conv.weight")) is not None and kernel.ndim == 3:
        named["encoder.conv.weight"] = np.ascontiguousarray(kernel.transpose(0, 2, 1)).reshape(len(kernel), -1)
    if architecture.embedding_size:
        named["embeddings.projection.bias"] = np.zeros(architecture.hidden_size, np.float32)
    return named
