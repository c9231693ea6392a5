"""DistilBERT (Sanh et al., 2019): BERT without token types, with a head of its own."""

from typing import Final

from undertone_model.architecture import Architecture, Head
from undertone_model.configuration import Configuration
from undertone_model.families.activations import read_activation
from undertone_model.families.names import TensorNames

NAMES: Final = TensorNames(
    prefix="distilbert.",
    layers="transformer.layer.",
    in_layers={
        "attention.self.query": "attention.q_lin",
        "attention.self.key": "attention.k_lin",
        "attention.self.value": "attention.v_lin",
        "attention.output.dense": "attention.out_lin",
        "attention.output.LayerNorm": "sa_layer_norm",
        "intermediate.dense": "ffn.lin1",
        "output.dense": "ffn.lin2",
        "output.LayerNorm": "output_layer_norm",
    },
    modules={"pooler.dense": "pre_classifier", "classifier": "classifier"},
)


def architecture(configuration: Configuration) -> Architecture:
    """The architecture of a DistilBertConfig. A checkpoint also contains sinusoidal embeddings of
    positions.
    """
    return Architecture(
        family="distilbert",
        num_hidden_layers=configuration.size("n_layers", 6),
        hidden_size=configuration.size("dim", 768),
        intermediate_size=configuration.size("hidden_dim", 3072),
        num_attention_heads=configuration.size("n_heads", 12),
        vocab_size=configuration.size("vocab_size", 30522),
        max_position_embeddings=configuration.size("max_position_embeddings", 512),
        type_vocab_size=0,
        activation=read_activation(configuration, "activation"),
        head=Head(activation="relu"),
    )
