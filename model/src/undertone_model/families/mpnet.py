"""MPNet (Song et al., 2020): BERT without token types, with a bias for the distance of tokens."""

from dataclasses import replace
from typing import Final

from undertone_model.architecture import AbsolutePositions, Architecture, RelativeBias
from undertone_model.configuration import Configuration
from undertone_model.families import bert
from undertone_model.families.names import TensorNames

NAMES: Final = TensorNames(
    prefix="mpnet.",
    in_layers={
        "attention.self.query": "attention.attn.q",
        "attention.self.key": "attention.attn.k",
        "attention.self.value": "attention.attn.v",
        "attention.output.dense": "attention.attn.o",
        "attention.output.LayerNorm": "attention.LayerNorm",
    },
    modules={
        "embeddings.relative_bias": "mpnet.encoder.relative_attention_bias",
        "pooler.dense": "classifier.dense",
        "classifier": "classifier.out_proj",
    },
)

MPNET_BASE: Final = Architecture(vocab_size=30527)
OFFSET: Final = 2
"""Position of the first token. The original does not read it from the configuration."""


def architecture(configuration: Configuration) -> Architecture:
    """The architecture of an MPNetConfig. The original always has 32 buckets of distances."""
    configuration.choice("relative_attention_num_buckets", (32,), default=32)
    positions = AbsolutePositions(offset=OFFSET, bias=RelativeBias())
    return replace(bert.architecture(configuration, MPNET_BASE), type_vocab_size=0, positions=positions)
