"""BERT (Devlin et al., 2019): BertModel and BertForSequenceClassification."""

from typing import Final

from undertone_model.architecture import Architecture
from undertone_model.configuration import Configuration
from undertone_model.families.activations import read_activation
from undertone_model.families.names import TensorNames

NAMES: Final = TensorNames(prefix="bert.", modules={"classifier": "classifier"})


def architecture(configuration: Configuration) -> Architecture:
    """The architecture of a BertConfig, and of configurations with the same fields and defaults.

    As in Hugging Face, the default sizes are BERT-base.
    """
    configuration.choice("position_embedding_type", ("absolute",), default="absolute")
    configuration.choice("is_decoder", (False,), default=False)
    return Architecture(
        family=configuration.fields["model_type"],
        num_hidden_layers=configuration.size("num_hidden_layers", 12),
        hidden_size=configuration.size("hidden_size", 768),
        intermediate_size=configuration.size("intermediate_size", 3072),
        num_attention_heads=configuration.size("num_attention_heads", 12),
        vocab_size=configuration.size("vocab_size", 30522),
        max_position_embeddings=configuration.size("max_position_embeddings", 512),
        type_vocab_size=configuration.size("type_vocab_size", 2),
        layer_norm_eps=configuration.number("layer_norm_eps", 1e-12),
        activation=read_activation(configuration),
    )
