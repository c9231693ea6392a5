import asyncio
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
from undertone_sidecar.plain_text import PlainText
from undertone_sidecar.testing import tiny_tokenizer
from undertone_sidecar.tokenizer import Tokenizer


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
        st.sampled_from("\t\n\r\x00\x7f‘’“”–—…éÉ漢\u0301\u200b\u00a0İẞ"),
    ),
    max_size=60,
)
words = st.lists(st.one_of(texts, st.sampled_from(["[SEP]", "[sep]", "The", "RAIN", "don't"])), max_size=6).map(" ".join)


@given(st.lists(words, max_size=4))
@settings(max_examples=60, deadline=None)
def test_what_is_normalized_here_is_normalized_as_the_tokenizer_does(texts: list[str]) -> None:
    plain = tiny_tokenizer()
    plain.no_padding()
    plain.no_truncation()
    with ThreadPoolExecutor(1) as pool:
        found = asyncio.run(Tokenizer(tiny_tokenizer(), pool).encode(texts))
    assert [ids.tolist() for ids in found] == [e.ids for e in plain.encode_batch(texts, add_special_tokens=False)]


@pytest.mark.parametrize("change", [{"lowercase": False}, {"clean_text": False}])
def test_a_tokenizer_that_normalizes_otherwise_is_left_alone(change: dict[str, bool]) -> None:
    rust = tiny_tokenizer()
    assert PlainText.of(rust)
    rust.normalizer = normalizers.BertNormalizer(**change)
    assert PlainText.of(rust) is None
    rust.normalizer = normalizers.Lowercase()
    assert PlainText.of(rust) is None


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
