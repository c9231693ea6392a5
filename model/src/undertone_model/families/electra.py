"""ELECTRA (Clark et al., 2020): BERT with smaller embeddings and another head."""

from dataclasses import replace
from typing import Final

from undertone_model.architecture import Architecture, Head
from undertone_model.configuration import Configuration
from undertone_model.families import bert
from undertone_model.families.names import TensorNames

NAMES: Final = TensorNames(
    prefix="electra.",
    modules={
        "embeddings.projection": "electra.embeddings_project",
        "pooler.dense": "classifier.dense",
        "classifier": "classifier.out_proj",
    },
)

ELECTRA_SMALL: Final = Architecture(hidden_size=256, intermediate_size=1024, num_attention_heads=4)


def architecture(configuration: Configuration) -> Architecture:
    """The architecture of an ElectraConfig. Embeddings of the hidden size are not projected."""
    described = bert.architecture(configuration, ELECTRA_SMALL)
    size = configuration.size("embedding_size", 128)
    embedding_size = None if size == described.hidden_size else size
    return replace(described, embedding_size=embedding_size, head=Head(activation="gelu"))
