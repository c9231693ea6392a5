"""A BERT model and its tokenizer, small enough for tests."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from undertone_model.architecture import Architecture
from undertone_model.checkpoint import Checkpoint, save_checkpoint
from undertone_model.emotions import EMOTIONS

# The vocabulary has characters, as words and within words, and a few words. Few tokens of a text
# are unknown.
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'\"()-"
WORDS = ("the", "and", "was", "her", "his", "sea", "rain", "letter", "door", "night", "laughed", "wept", "waited", "bread")


def tiny_tokenizer() -> Tokenizer:
    """A WordPiece tokenizer with the rules of BERT's."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = [*special, *CHARACTERS, *(f"##{character}" for character in CHARACTERS), *WORDS]
    ids = {token: index for index, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token=special[1], max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    tokenizer.add_special_tokens(special)
    return tokenizer


def tiny_checkpoint(folder: Path, labels: Sequence[str] = EMOTIONS, seed: int = 0, positions: int = 64) -> Path:
    """Writes a BertForSequenceClassification with two layers and random weights to `folder`, and
    returns it.

    `seed` determines the weights.
    """
    tokenizer = tiny_tokenizer()
    architecture = Architecture(
        num_hidden_layers=2,
        hidden_size=32,
        intermediate_size=64,
        num_attention_heads=4,
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=positions,
    )
    random = np.random.default_rng(seed)
    head = {"classifier.weight": (len(labels), architecture.hidden_size), "classifier.bias": (len(labels),)}
    weights = {
        name: (random.normal(0, 0.3, shape) + name.endswith("LayerNorm.weight")).astype(np.float32)
        for name, shape in (architecture.weight_shapes() | head).items()
    }
    save_checkpoint(folder, Checkpoint(architecture, weights, tokenizer, tuple(labels)))
    return folder
