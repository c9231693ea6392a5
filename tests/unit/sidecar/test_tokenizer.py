import hashlib
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, processors
from undertone_sidecar.errors import ContractError
from undertone_sidecar.testing import tiny_tokenizer
from undertone_sidecar.tokenizer import Tokenizer


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def test_token_ids_are_those_of_the_library_at_any_length(executor: Executor) -> None:
    expected = tiny_tokenizer()
    expected.no_padding()
    expected.no_truncation()
    expected.encode_special_tokens = True
    tokenizer = Tokenizer(tiny_tokenizer(), executor)
    texts = ["rain", "The rain had stopped, and she laughed. " * 20, "", "é漢 [SEP] x"]
    wrapped = [tokenizer.wrap(content).tolist() for content in await tokenizer.encode(texts)]
    assert wrapped == [encoding.ids for encoding in expected.encode_batch(texts)]
    assert tokenizer.special_tokens == 2


async def test_special_tokens_are_read_from_the_tokenizer(executor: Executor) -> None:
    rust = tiny_tokenizer()
    rust.post_processor = processors.TemplateProcessing(single="[CLS] [MASK] $0 [SEP]", special_tokens=[
        (name, rust.token_to_id(name)) for name in ("[CLS]", "[MASK]", "[SEP]")
    ])  # fmt: skip
    tokenizer = Tokenizer(rust, executor)
    (content,) = await tokenizer.encode(["rain"])
    assert tokenizer.wrap(content).tolist() == rust.encode("rain").ids
    assert tokenizer.special_tokens == 3


async def test_special_tokens_are_read_also_without_tokens_for_latin_letters(executor: Executor) -> None:
    rust = tiny_tokenizer()
    rust.model = models.BPE({"я": 0, "д": 1}, [])
    tokenizer = Tokenizer(rust, executor)
    (content,) = await tokenizer.encode(["яa д"])
    assert tokenizer.wrap(content).tolist() == [17, 0, 1, 15]
    assert tokenizer.vocabulary_size == 19


def test_an_unusable_tokenizer_file_is_named(tmp_path: Path, executor: Executor) -> None:
    path = tmp_path / "tokenizer.json"
    bare = tokenizers.Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))  # noqa: S106
    bare.pre_tokenizer = pre_tokenizers.Whitespace()
    unread = tiny_tokenizer()
    unread.model = models.BPE()  # it has no tokens, and none for unknown characters
    without_unknown = tiny_tokenizer()
    without_unknown.model = models.Unigram([("a", -1.0)])
    for data in (b"{}", b"\xff", *(broken.to_str().encode() for broken in (bare, unread, without_unknown))):
        path.write_bytes(data)
        with pytest.raises(ContractError, match=r"tokenizer\.json: is not a usable tokenizer"):
            Tokenizer.read(path, sha256=hashlib.sha256(data).hexdigest(), executor=executor)
