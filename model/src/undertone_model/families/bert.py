"""BERT (Devlin et al., 2019): BertModel and BertForSequenceClassification."""

from undertone_model.architecture import Architecture
from undertone_model.arrays import NamedArrays
from undertone_model.configuration import Configuration


def architecture(configuration: Configuration) -> Architecture:
    """The architecture of a BertConfig. As in Hugging Face, the default sizes are BERT-base."""
    configuration.choice("hidden_act", ("gelu",), default="gelu")
    configuration.choice("position_embedding_type", ("absolute",), default="absolute")
    configuration.choice("is_decoder", (False,), default=False)
    return Architecture(
        family="bert",
        num_hidden_layers=configuration.size("num_hidden_layers", 12),
        hidden_size=configuration.size("hidden_size", 768),
        intermediate_size=configuration.size("intermediate_size", 3072),
        num_attention_heads=configuration.size("num_attention_heads", 12),
        vocab_size=configuration.size("vocab_size", 30522),
        max_position_embeddings=configuration.size("max_position_embeddings", 512),
        type_vocab_size=configuration.size("type_vocab_size", 2),
        layer_norm_eps=configuration.number("layer_norm_eps", 1e-12),
    )


def weights(tensors: NamedArrays, _: Architecture) -> NamedArrays:
    """The tensors without the prefix `bert.`."""
    return {name.removeprefix("bert."): array for name, array in tensors.items()}
