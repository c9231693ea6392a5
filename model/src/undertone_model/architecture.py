"""Sizes of a BERT encoder and the shapes of its weights."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes of a BERT encoder, named as in Hugging Face. The defaults are BERT-base."""

    num_hidden_layers: int = 12
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_attention_heads: int = 12
    vocab_size: int = 30522
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all weights of a BertModel by name. Linear layers are [out, in]."""
        hidden, inner = self.hidden_size, self.intermediate_size
        shapes: dict[str, tuple[int, ...]] = {
            "embeddings.word_embeddings.weight": (self.vocab_size, hidden),
            "embeddings.position_embeddings.weight": (self.max_position_embeddings, hidden),
            "embeddings.token_type_embeddings.weight": (self.type_vocab_size, hidden),
        }
        linear = {"pooler.dense": (hidden, hidden)}
        norms = ["embeddings.LayerNorm"]
        for layer in range(self.num_hidden_layers):
            prefix = f"encoder.layer.{layer}."
            for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
                linear[prefix + name] = (hidden, hidden)
            linear[prefix + "intermediate.dense"] = (inner, hidden)
            linear[prefix + "output.dense"] = (hidden, inner)
            norms += [prefix + "attention.output.LayerNorm", prefix + "output.LayerNorm"]
        for name, (rows, columns) in linear.items():
            shapes |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
        for name in norms:
            shapes |= {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}
        return shapes

    def encoder_parameters(self) -> int:
        """Number of weights in the encoder's linear layers, which do most of the computation."""
        layer = 4 * self.hidden_size * self.hidden_size + 2 * self.hidden_size * self.intermediate_size
        return self.num_hidden_layers * layer
