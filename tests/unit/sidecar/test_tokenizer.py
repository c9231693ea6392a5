import hashlib
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers, processors
from undertone_sidecar.errors import ContractError
from undertone_sidecar.testing import tiny_tokenizer
from undertone_sidecar.tokenizer import Tokenizer
from undertone_sidecar.word_cache import WordCache


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def test_agrees_with_the_tokenizer_itself_at_any_length(executor: Executor) -> None:
    plain = tiny_tokenizer()
    plain.no_padding()
    plain.no_truncation()
    subject = Tokenizer(tiny_tokenizer(), executor)
    texts = ["rain", "The rain had stopped, and she laughed. " * 20, "", "é漢 [SEP] x"]
    wrapped = [subject.wrap(content).tolist() for content in await subject.encode(texts)]
    assert wrapped == [encoding.ids for encoding in plain.encode_batch(texts)]
    assert subject.special_tokens == 2


texts = st.text(
    st.one_of(
        st.characters(max_codepoint=127),
        st.sampled_from("\t\n\r\x00\x0b\x0c\x1c\x7f\x85\u2028‘’“”–—…éÉ漢\u0301\u200b\u00a0İẞ"),
    ),
    max_size=60,
)
words = st.lists(st.one_of(texts, st.sampled_from(["[SEP]", "[sep]", "The", "RAIN", "don't"])), max_size=6).map(" ".join)


@given(st.lists(st.lists(words, max_size=4), max_size=3), st.sampled_from([0, 2**20]))
@settings(max_examples=60, deadline=None)
def test_words_are_remembered_as_the_tokenizer_has_them(requests: list[list[str]], most_bytes: int) -> None:
    rust = tiny_tokenizer()
    rust.no_padding()
    rust.no_truncation()
    subject = WordCache(rust, most_bytes=most_bytes)
    for texts in requests:
        found = [ids.tolist() for ids in subject.encode(texts)]
        assert found == [e.ids for e in rust.encode_batch(texts, add_special_tokens=False)]


def test_words_that_are_remembered_are_few() -> None:
    subject = WordCache(tiny_tokenizer(), most_bytes=10_000)
    sizes = []
    for number in range(1000):
        subject.encode([f"the rain {number}"])
        sizes.append(subject.size)
    assert 40 < max(sizes) < 200
    assert sizes.count(3) > 1


@pytest.mark.parametrize("change", [{"lowercase": False}, {"strip_accents": False}, {"handle_chinese_chars": False}])
def test_words_are_remembered_whichever_normalization_is_chosen(change: dict[str, bool]) -> None:
    rust = tiny_tokenizer()
    rust.normalizer = normalizers.BertNormalizer(**change)
    rust.no_padding()
    rust.no_truncation()
    texts = ["Thé rain,\x0bÉ 漢字 had'stopped \u0301a (İẞ)", "rain Rain RAIN"]
    assert WordCache.suits(rust)
    found = [ids.tolist() for ids in WordCache(rust).encode(texts)]
    assert found == [e.ids for e in rust.encode_batch(texts, add_special_tokens=False)]


async def test_a_tokenizer_that_does_not_work_word_by_word_is_left_alone(executor: Executor) -> None:
    texts = ["the \x0b rain", "at\x1chome, had"]

    def otherwise() -> Iterator[tokenizers.Tokenizer]:
        rust = tiny_tokenizer()
        rust.normalizer = normalizers.BertNormalizer(clean_text=False)
        yield rust
        rust = tiny_tokenizer()
        rust.normalizer = normalizers.Lowercase()
        yield rust
        rust = tiny_tokenizer()
        rust.pre_tokenizer = pre_tokenizers.Metaspace()
        yield rust
        rust = tiny_tokenizer()
        rust.add_tokens(["the \x0b"])
        yield rust

    for rust in otherwise():
        assert not WordCache.suits(rust)
        found = await Tokenizer(rust, executor).encode(texts)
        assert [ids.tolist() for ids in found] == [e.ids for e in rust.encode_batch(texts, add_special_tokens=False)]


async def test_special_tokens_are_the_tokenizers_own(executor: Executor) -> None:
    rust = tiny_tokenizer()
    rust.post_processor = processors.TemplateProcessing(single="[CLS] [MASK] $0 [SEP]", special_tokens=[
        (name, rust.token_to_id(name)) for name in ("[CLS]", "[MASK]", "[SEP]")
    ])  # fmt: skip
    subject = Tokenizer(rust, executor)
    (content,) = await subject.encode(["rain"])
    assert subject.wrap(content).tolist() == rust.encode("rain").ids
    assert subject.special_tokens == 3


def test_files_that_are_no_such_tokenizer_are_named(tmp_path: Path, executor: Executor) -> None:
    path = tmp_path / "tokenizer.json"
    bare = tokenizers.Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))  # noqa: S106
    bare.pre_tokenizer = pre_tokenizers.Whitespace()
    for data in (b"{}", b"\xff", bare.to_str().encode()):
        path.write_bytes(data)
        with pytest.raises(ContractError, match=r"tokenizer\.json: is not a tokenizer that can be served"):
            Tokenizer.read(path, sha256=hashlib.sha256(data).hexdigest(), executor=executor)
