"""The tokenizer of each family gives the ids of the library, and its special tokens are no text."""

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, normalizers, pre_tokenizers
from undertone_model.batches import encode
from undertone_model.special_tokens import served_tokenizer
from undertone_model.testing import tiny_tokenizer
from undertone_sidecar.chunks import sliding_chunks
from undertone_sidecar.testing import tiny_tokenizer as sidecar_tokenizer
from undertone_sidecar.tokenizer import Tokenizer


def exported(family: str) -> tokenizers.Tokenizer:
    """The tokenizer.json of an export, as it is read from the file."""
    return tokenizers.Tokenizer.from_str(served_tokenizer(checkpoint(family)).to_str())


def checkpoint(family: str) -> tokenizers.Tokenizer:
    match family.split():
        case ["wordpiece"]:
            return sidecar_tokenizer()
        case ["cased-bert"]:
            tokenizer = tiny_tokenizer("bert")
            tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
        case ["roberta", "prefix"]:
            tokenizer = tiny_tokenizer("roberta")
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        case ["deberta-v2", scheme]:
            tokenizer = tiny_tokenizer("deberta-v2")
            tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
        case _:
            tokenizer = tiny_tokenizer(family)
    return tokenizer


FAMILIES = [
    *("wordpiece", "bert", "cased-bert", "mpnet", "roberta", "roberta prefix", "modernbert"),
    *("xlm-roberta", "camembert", "deberta-v2", "deberta-v2 first", "deberta-v2 never"),
]
SPECIAL = ["[SEP]", "[CLS]", "[MASK]", "[PAD]", "[UNK]", "<s>", "</s>", "<pad>", "<mask>", "<unk>", "<|endoftext|>"]
CHARACTERS = st.one_of(
    st.characters(max_codepoint=127),
    st.sampled_from(
        "\t\n\r\x00\x0b\x0c\x1c\x7f\x85\u2028‘’“”–—…éÉ漢字\u0301\u0327\u200b\u200d\u00a0\u00ad\ufeffİẞ😀👩▁Ġ＜／ｓ＞［］"
    ),
    st.characters(exclude_categories=["Cs"]),
)
PARTS = st.one_of(
    st.text(CHARACTERS, max_size=12),
    st.sampled_from([*SPECIAL, "[sep]", " [MASK]", "<mask>  ", "|||IP_ADDRESS|||", "[unused0]", "  ", "        ", "\n\n"]),
    st.sampled_from(
        ["the", "The sea", " RAIN", "don't", "laughed,", "x" * 120, "e\u0301" * 60, "👩\u200d👩\u200d👧", "<0x0A>"]
    ),
)
TEXTS = st.lists(st.lists(PARTS, max_size=8).map("".join), max_size=4)


@cache
def tokenizer_of(family: str) -> Tokenizer:
    return Tokenizer(exported(family), ThreadPoolExecutor(1))


@cache
def library_tokenizer(family: str) -> tokenizers.Tokenizer:
    """The tokenizer of the export, with special tokens as text."""
    library = exported(family)
    library.encode_special_tokens = True
    return library


@cache
def checkpoint_tokenizer(family: str) -> tokenizers.Tokenizer:
    """The tokenizer of the checkpoint, with special tokens as control."""
    library = checkpoint(family)
    library.no_padding()
    library.no_truncation()
    return library


@cache
def control_ids(family: str) -> frozenset[int]:
    """Ids of the special tokens, except that of unknown pieces, which a text may have."""
    ids = checkpoint(family).get_vocab()
    unknown = "[UNK]" if "[UNK]" in ids else "<unk>"
    return frozenset(ids[token] for token in SPECIAL if token in ids and token != unknown)


@pytest.mark.parametrize("family", FAMILIES)
@given(texts=TEXTS)
@settings(max_examples=40, deadline=None)
def test_token_ids_are_those_of_the_library_and_no_text_has_control_tokens(family: str, texts: list[str]) -> None:
    """The ids of texts without special tokens are also those of the checkpoint."""
    tokenizer, library = tokenizer_of(family), library_tokenizer(family)
    contents = asyncio.run(tokenizer.encode(texts))
    assert [ids.tolist() for ids in contents] == [library.encode(text, add_special_tokens=False).ids for text in texts]
    wrapped = [tokenizer.wrap(content).tolist() for content in contents]
    assert wrapped == [library.encode(text).ids for text in texts] == encode(library, texts, 10_000)
    assert control_ids(family).isdisjoint(np.concatenate([*contents, []]))
    assert max((max(ids) for ids in wrapped), default=0) < tokenizer.vocabulary_size
    for text, ids in zip(texts, wrapped, strict=True):
        if not any(token in unicodedata.normalize("NFKC", text) for token in SPECIAL):
            assert ids == checkpoint_tokenizer(family).encode(text).ids


@pytest.mark.parametrize("family", FAMILIES)
def test_special_tokens_of_a_text_are_ordinary_pieces(family: str) -> None:
    """Also with white space around them, in words, in full-width letters, and with line breaks."""
    texts = [form for token in SPECIAL for form in (token, f"the {token} \n sea", f"x{token}y", full_width(token))]
    for text, content in zip(texts, asyncio.run(tokenizer_of(family).encode(texts)), strict=True):
        assert len(content), text
        assert control_ids(family).isdisjoint(content.tolist()), text


def full_width(text: str) -> str:
    """NFKC turns it into `text`."""
    return "".join(chr(ord(character) + 0xFEE0) for character in text)


@pytest.mark.parametrize(
    ("family", "text", "pieces"),
    [
        ("bert", "the [SEP]", ["the", "[UNK]", "s", "##e", "##p", "[UNK]"]),
        ("mpnet", "sea </s>", ["sea", "[UNK]", "[UNK]", "s", "[UNK]"]),
        ("roberta", "the <mask>", ["the", "Ġ", "<", "m", "a", "s", "k", ">"]),
        ("modernbert", "the  [MASK]", ["the", "  ", "[", "M", "A", "S", "K", "]"]),
        ("xlm-roberta", "sea</s> <pad>", ["▁sea", "<", "/", "s", ">", "▁", "<", "p", "a", "d", ">"]),
        ("camembert", "<s>NOTUSED", ["▁", "<", "s", ">", "N", "OT", "U", "S", "E", "D"]),
        ("deberta-v2", "a[CLS]b", ["▁", "a", "[", "C", "L", "S", "]", "b"]),
    ],
)
def test_the_pieces_of_special_tokens_are_those_of_their_characters(family: str, text: str, pieces: list[str]) -> None:
    assert library_tokenizer(family).encode(text, add_special_tokens=False).tokens == pieces


def test_added_tokens_that_are_not_special_are_found() -> None:
    """Runs of spaces of ModernBERT, and tokens that a user added to a vocabulary."""
    library = tiny_tokenizer("bert")
    words = [
        AddedToken("[name]", normalized=False),
        AddedToken("seaside", normalized=True, single_word=True),
        AddedToken("@user", lstrip=True, rstrip=True),
    ]
    library.add_tokens(words)
    served = served_tokenizer(library)
    texts = ["[NAME] [name]x", "the Seaside, seasides", "rain  @user  the", "[SEP]@USER"]
    contents = asyncio.run(Tokenizer(served, ThreadPoolExecutor(1)).encode(texts))
    assert [ids.tolist() for ids in contents] == [served.encode(text, add_special_tokens=False).ids for text in texts]
    first, *_ = ids = [library.get_vocab()[token.content] for token in words]
    assert [sorted({*content.tolist()} & {*ids}) for content in contents] == [[first], [first + 1], [first + 2], [first + 2]]


@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "modernbert"])
async def test_special_tokens_are_control_if_the_export_says_so(family: str) -> None:
    library = tiny_tokenizer(family)
    first, *_, last = library.encode("").tokens
    text = f"the {last} sea{first}"
    served = tokenizers.Tokenizer.from_str(served_tokenizer(library, "control").to_str())
    (content,) = await Tokenizer(served, ThreadPoolExecutor(1)).encode([text])
    assert content.tolist() == library.encode(text, add_special_tokens=False).ids
    assert {library.token_to_id(first), library.token_to_id(last)} <= {*content.tolist()}


@pytest.mark.parametrize("family", FAMILIES)
async def test_each_chunk_has_the_special_tokens_of_its_family(family: str) -> None:
    tokenizer = tokenizer_of(family)
    (content,) = await tokenizer.encode(["the sea, the 😀 rain laughed" * 20])
    chunks = [tokenizer.wrap(content[chunk.start : chunk.stop]) for chunk in sliding_chunks(len(content), width=30, overlap=8)]
    first, last = library_tokenizer(family).encode("").ids
    assert {(chunk[0], chunk[-1], len(chunk)) for chunk in chunks} == {(first, last, 32)}
    assert tokenizer.special_tokens == 2
