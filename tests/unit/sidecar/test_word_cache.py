from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import normalizers, pre_tokenizers
from undertone_model.testing import tiny_tokenizer as tiny_family_tokenizer
from undertone_sidecar.testing import tiny_tokenizer
from undertone_sidecar.tokenizer import Tokenizer
from undertone_sidecar.word_cache import WordCache


def plain_tokenizer() -> tokenizers.Tokenizer:
    """The tiny tokenizer without padding and truncation."""
    rust = tiny_tokenizer()
    rust.no_padding()
    rust.no_truncation()
    rust.encode_special_tokens = True
    return rust


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
def test_cached_token_ids_are_those_of_the_tokenizer(requests: list[list[str]], max_bytes: int) -> None:
    rust = plain_tokenizer()
    cache = WordCache(rust, max_bytes=max_bytes)
    for texts in requests:
        found = [ids.tolist() for ids in cache.encode(texts)]
        assert found == [e.ids for e in rust.encode_batch(texts, add_special_tokens=False)]


def test_special_tokens_that_are_control_are_not_cached() -> None:
    """They are found in the text before control characters are removed: not in "[S\x0bEP]"."""
    rust = tiny_tokenizer()
    assert not WordCache.supports(rust)
    rust.encode_special_tokens = True
    assert WordCache.supports(rust)


def test_the_cache_is_cleared_when_it_is_full() -> None:
    cache = WordCache(tiny_tokenizer(), max_bytes=10_000)
    sizes = []
    for number in range(1000):
        cache.encode([f"the rain {number}"])
        sizes.append(cache.size)
    assert 40 < max(sizes) < 200
    assert sizes.count(3) > 1


@pytest.mark.parametrize("change", [{"lowercase": False}, {"strip_accents": False}, {"handle_chinese_chars": False}])
def test_the_cache_works_with_every_normalization(change: dict[str, bool]) -> None:
    rust = plain_tokenizer()
    rust.normalizer = normalizers.BertNormalizer(**change)
    texts = ["Thé rain,\x0bÉ 漢字 had'stopped \u0301a (İẞ)", "rain Rain RAIN"]
    assert WordCache.supports(rust)
    found = [ids.tolist() for ids in WordCache(rust).encode(texts)]
    assert found == [e.ids for e in rust.encode_batch(texts, add_special_tokens=False)]


async def test_a_tokenizer_that_does_not_work_word_by_word_is_not_cached() -> None:
    texts = ["the \x0b rain", "at\x1chome, had", "door  o\x0bo"]

    def unsupported_tokenizers() -> Iterator[tokenizers.Tokenizer]:
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
        rust.add_tokens(["oo"])
        yield rust
        yield from map(tiny_family_tokenizer, ("roberta", "modernbert", "xlm-roberta", "deberta-v2"))

    for rust in unsupported_tokenizers():
        rust.encode_special_tokens = True
        assert not WordCache.supports(rust)
        with ThreadPoolExecutor(1) as executor:
            found = await Tokenizer(rust, executor).encode(texts)
        assert [ids.tolist() for ids in found] == [e.ids for e in rust.encode_batch(texts, add_special_tokens=False)]


def test_a_large_batch_is_encoded_in_groups_of_bounded_size() -> None:
    rust = plain_tokenizer()
    sizes: list[int] = []

    class Spy:
        def encode_batch_fast(self, parts: list[str], *, add_special_tokens: bool) -> list[tokenizers.Encoding]:
            sizes.append(sum(map(len, parts)))
            return rust.encode_batch_fast(parts, add_special_tokens=add_special_tokens)

    batch = [" ".join(f"{number}{text}" for number in range(3000)) for text in range(40)]
    found = [ids.tolist() for ids in WordCache(Spy()).encode(batch)]  # type: ignore[arg-type]
    assert found == [encoding.ids for encoding in rust.encode_batch(batch, add_special_tokens=False)]
    assert len(sizes) > 1
    assert max(sizes) <= 64 * 1024
