"""A tokenizer of each family, small enough for tests.

Each has the steps and the special tokens of its family, with the ids of the real vocabularies
where these are small. The vocabularies are written down and not trained, so that ids are the same
everywhere.
"""

from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

# The vocabularies have characters, as words and within words, and a few words. Few tokens of a text
# are unknown.
CHARACTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'\"()-"
WORDS: Final = (
    "the",
    "and",
    "was",
    "her",
    "his",
    "sea",
    "rain",
    "letter",
    "door",
    "night",
    "laughed",
    "wept",
    "waited",
    "bread",
)


def tiny_tokenizer(family: str = "bert") -> Tokenizer:
    """The tokenizer of a family of TOKENIZERS, by its model_type. Raises KeyError."""
    return TOKENIZERS[family]()


def _bert() -> Tokenizer:
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
    tokenizer = _word_piece((*special, *_word_pieces()), unknown="[UNK]")
    tokenizer.add_special_tokens(list(special))
    ids = tokenizer.get_vocab()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    return tokenizer


def _mpnet() -> Tokenizer:
    special = ("<s>", "<pad>", "</s>", "<unk>")
    tokenizer = _word_piece((*special, *_word_pieces(), "[UNK]", "<mask>"), unknown="[UNK]")
    tokenizer.add_special_tokens([*special, "[UNK]", AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = _template(tokenizer, "<s>", "</s>")
    return tokenizer


def _roberta() -> Tokenizer:
    special = ("<s>", "<pad>", "</s>", "<unk>")
    tokenizer = _byte_level(special, after=("<mask>",))
    tokenizer.add_special_tokens([*special, AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return tokenizer


def _modernbert() -> Tokenizer:
    tokenizer = _byte_level(("<|endoftext|>", "<|padding|>"))
    tokenizer.normalizer = normalizers.NFC()
    # Runs of spaces are added tokens that are not special.
    tokenizer.add_special_tokens(["<|endoftext|>", "<|padding|>"])
    tokenizer.add_tokens([AddedToken(" " * spaces, normalized=True) for spaces in range(8, 1, -1)])
    tokenizer.add_tokens([AddedToken("|||IP_ADDRESS|||", normalized=True)])
    tokenizer.add_special_tokens(["[UNK]", "[CLS]", "[SEP]", "[PAD]", AddedToken("[MASK]", lstrip=True, special=True)])
    tokenizer.add_tokens([AddedToken("[unused0]", normalized=True)])
    tokenizer.post_processor = _template(tokenizer, "[CLS]", "[SEP]")
    return tokenizer


def _xlm_roberta() -> Tokenizer:
    special = ("<s>", "<pad>", "</s>", "<unk>")
    tokenizer = _unigram(special, unknown="<unk>", after=("<mask>",))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.add_special_tokens([*special, AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = _template(tokenizer, "<s>", "</s>")
    return tokenizer


def _camembert() -> Tokenizer:
    special = ("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>")
    tokenizer = _unigram(special, unknown="<unk>", after=("<mask>",))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.add_special_tokens([*special, AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = _template(tokenizer, "<s>", "</s>")
    return tokenizer


def _deberta() -> Tokenizer:
    special = ("[CLS]", "[PAD]", "[SEP]", "[UNK]")
    tokenizer = _byte_level(special)
    tokenizer.add_special_tokens([*special, AddedToken("[MASK]", lstrip=True, special=True)])
    tokenizer.post_processor = _template(tokenizer, "[CLS]", "[SEP]")
    return tokenizer


def _deberta_v2() -> Tokenizer:
    special = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")
    tokenizer = _unigram(special, unknown="[UNK]")
    # A checkpoint has sentencepiece's table of replacements in place of NFKC.
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Strip(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    # [MASK] is not in the vocabulary of the model, but behind it.
    tokenizer.add_special_tokens([*special, "[MASK]"])
    tokenizer.post_processor = _template(tokenizer, "[CLS]", "[SEP]")
    return tokenizer


TOKENIZERS: Final[Mapping[str, Callable[[], Tokenizer]]] = {
    "bert": _bert,
    "distilbert": _bert,
    "electra": _bert,
    "mpnet": _mpnet,
    "roberta": _roberta,
    "camembert": _camembert,
    "xlm-roberta": _xlm_roberta,
    "modernbert": _modernbert,
    "deberta": _deberta,
    "deberta-v2": _deberta_v2,
}
"""Makes the tokenizer of each family, by the model_type of its configuration."""


def _word_pieces() -> tuple[str, ...]:
    return (*CHARACTERS, *(f"##{character}" for character in CHARACTERS), *WORDS)


def _word_piece(vocabulary: tuple[str, ...], *, unknown: str) -> Tokenizer:
    ids = {token: index for index, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token=unknown, max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _byte_level(before: tuple[str, ...], *, after: tuple[str, ...] = ()) -> Tokenizer:
    """Byte-level BPE. Each word of WORDS is merged letter by letter, as a first word and after a
    space.
    """
    words = [f"{space}{word}" for space in ("Ġ", "") for word in WORDS]
    merges = dict.fromkeys((left, letter) for word in words for left, letter in zip(accumulate(word), word[1:], strict=False))
    pieces = (*before, *sorted(pre_tokenizers.ByteLevel.alphabet()), *map("".join, merges), *after)
    ids = {token: index for index, token in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.BPE(ids, list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _unigram(before: tuple[str, ...], *, unknown: str, after: tuple[str, ...] = ()) -> Tokenizer:
    """Unigram with sentencepiece's mark of a space. As in real vocabularies, special tokens are
    pieces with the score 0.
    """
    pieces = ["▁", *(f"▁{word}" for word in WORDS), *CHARACTERS, "<", ">", "/", "[", "]", *"SEPCLMAKUND", *WORDS]
    scores = [(piece, -3.0 - 0.1 * index) for index, piece in enumerate(dict.fromkeys(pieces))]
    vocabulary = [*((token, 0.0) for token in before), *scores, *((token, 0.0) for token in after)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=before.index(unknown), byte_fallback=False))
    # A checkpoint has sentencepiece's table of replacements in place of NFKC.
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def _template(tokenizer: Tokenizer, first: str, last: str) -> processors.TemplateProcessing:
    ids = [(token, tokenizer.token_to_id(token)) for token in (first, last)]
    return processors.TemplateProcessing(
        single=f"{first} $A {last}", pair=f"{first} $A {last} $B:1 {last}:1", special_tokens=ids
    )
