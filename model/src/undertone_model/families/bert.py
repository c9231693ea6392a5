"""BERT (Devlin et al., 2019): BertModel and BertForSequenceClassification."""

from dataclasses import replace
from typing import Final

from undertone_model.architecture import Architecture
from undertone_model.configuration import Configuration
from undertone_model.families.activations import read_activation
from undertone_model.families.names import TensorNames

NAMES: Final = TensorNames(prefix="bert.", modules={"classifier": "classifier"})

BERT_BASE: Final = Architecture()


def architecture(configuration: Configuration, defaults: Architecture = BERT_BASE) -> Architecture:
    """The architecture of a BertConfig, and of configurations with the same fields.

    As in Hugging Face, absent fields have the values of `defaults`.
    """
    configuration.choice("position_embedding_type", ("absolute",), default="absolute")
    configuration.choice("is_decoder", (False,), default=False)
    return replace(
        defaults,
        family=configuration.fields["model_type"],
        num_hidden_layers=configuration.size("num_hidden_layers", defaults.num_hidden_layers),
        hidden_size=configuration.size("hidden_size", defaults.hidden_size),
        intermediate_size=configuration.size("intermediate_size", defaults.intermediate_size),
        num_attention_heads=configuration.size("num_attention_heads", defaults.num_attention_heads),
        vocab_size=configuration.size("vocab_size", defaults.vocab_size),
        max_position_embeddings=configuration.size("max_position_embeddings", defaults.max_position_embeddings),
        type_vocab_size=configuration.size("type_vocab_size", defaults.type_vocab_size),
        layer_norm_eps=configuration.number("layer_norm_eps", defaults.layer_norm_eps),
        activation=read_activation(configuration),
    )
