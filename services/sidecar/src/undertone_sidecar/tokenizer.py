"""Text to token ids, in threads: the Rust tokenizer releases the interpreter lock, so the event loop goes on."""

import asyncio
import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import tokenizers

from undertone_sidecar.errors import ContractError
from undertone_sidecar.plain_text import PlainText

TokenIds = npt.NDArray[np.int32]
"""Token ids of one sequence: shape [tokens]."""

_PROBE: Final = "a"


class Tokenizer:
    """A tokenizer.json, and the thread pool that it works in.

    Content and special tokens are kept apart, because a paragraph that is cut into windows needs the special tokens around
    each window. Which tokens those are is asked of the tokenizer itself, with a probe.
    """

    def __init__(self, rust: tokenizers.Tokenizer, executor: Executor) -> None:
        """Takes over `rust`; raises ValueError if its special tokens do not stand around the text."""
        # Checkpoints ship the truncation and padding of their training; neither may touch what is served.
        rust.no_truncation()
        rust.no_padding()
        content = rust.encode(_PROBE, add_special_tokens=False).ids
        whole = rust.encode(_PROBE)
        before = next((i for i, special in enumerate(whole.special_tokens_mask) if not special), 0)
        after = before + len(content)
        if not content or whole.ids[before:after] != content or len(whole.ids) - len(content) == 0:
            raise ValueError("it does not put special tokens around a text as BERT's tokenizers do")
        self._rust = rust
        self._plain = PlainText.of(rust)
        self._executor = executor
        self._prefix = np.array(whole.ids[:before], dtype=np.int32)
        self._suffix = np.array(whole.ids[after:], dtype=np.int32)

    @classmethod
    def read(cls, path: Path, *, sha256: str, executor: Executor) -> "Tokenizer":
        """Reads a tokenizer.json whose SHA-256 must be `sha256` (hexadecimal). Raises ContractError."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ContractError(f"{path}: cannot be read ({error.strerror}); export the model again") from None
        if (found := hashlib.sha256(data).hexdigest()) != sha256:
            raise ContractError(
                f"{path}: SHA-256 is {found}, but contract.json was written for {sha256}; "
                "put back the tokenizer that the model was exported with, or export the model again"
            )
        try:
            return cls(tokenizers.Tokenizer.from_buffer(data), executor)
        except Exception as error:  # the Rust side raises bare Exception
            raise ContractError(f"{path}: is not a tokenizer that can be served ({error}); export the model again") from None

    @property
    def special_tokens(self) -> int:
        """How many tokens `wrap` adds."""
        return len(self._prefix) + len(self._suffix)

    @property
    def vocabulary_size(self) -> int:
        """One more than the largest token id."""
        return max(self._rust.get_vocab().values()) + 1

    async def encode(self, texts: Sequence[str]) -> list[TokenIds]:
        """Token ids of each text without special tokens, all in one visit to the thread pool."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._encode, texts)

    def _encode(self, texts: Sequence[str]) -> list[TokenIds]:
        plain = [self._plain.normalized(text) for text in texts] if self._plain else [None] * len(texts)
        own = iter(_ids(self._rust, [text for text, easy in zip(texts, plain, strict=True) if easy is None]))
        if self._plain is None:
            return list(own)
        quick = iter(_ids(self._plain.rust, [easy for easy in plain if easy is not None]))
        return [next(own) if easy is None else next(quick) for easy in plain]

    def wrap(self, content: TokenIds) -> TokenIds:
        """`content` between the tokenizer's special tokens."""
        return np.concatenate((self._prefix, content, self._suffix))


def _ids(rust: tokenizers.Tokenizer, texts: list[str]) -> list[TokenIds]:
    encodings = rust.encode_batch_fast(texts, add_special_tokens=False) if texts else []
    return [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]
