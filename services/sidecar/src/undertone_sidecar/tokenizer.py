"""Tokenizes texts in a thread pool, so that the event loop stays responsive."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import tokenizers

from undertone_sidecar.errors import ContractError
from undertone_sidecar.flags import Flagger, Flags
from undertone_sidecar.word_cache import WordCache

TokenIds = npt.NDArray[np.int32]
"""Token ids of one sequence: shape [tokens]."""


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """The tokens of a text without special tokens, and its flags."""

    token_ids: TokenIds
    flags: Flags = ()


_PROBES: Final = ("a", "1", ".", "中", "я", "ا")
"""Texts that show which special tokens the tokenizer adds. The first with content is used."""

_UNKNOWN_CHARACTER: Final = "\U00012000"
"""A letter that hardly any vocabulary has (cuneiform)."""


class Tokenizer:
    """A tokenizer.json with its thread pool.

    Content and special tokens are separate, because each chunk of a paragraph needs the special
    tokens. The special tokens are read from the tokenizer itself, with a probe text.

    The name of a special token in a text, such as [SEP], is text. Added tokens that are not
    special are found in texts. The export decides which tokens are special.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, executor: Executor) -> None:
        """Changes settings of `tokenizer`.

        Raises ValueError if it does not add special tokens, and Exception if it fails on unknown
        characters.
        """
        # The file contains the truncation and padding of the training.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True
        tokenizer.encode(_UNKNOWN_CHARACTER)
        prefix, suffix = _special_tokens_around(tokenizer)
        self._tokenizer = tokenizer
        self._words = WordCache(tokenizer) if WordCache.supports(tokenizer) else None
        self._executor = executor
        self._prefix = np.array(prefix, dtype=np.int32)
        self._suffix = np.array(suffix, dtype=np.int32)

    @classmethod
    def read(cls, path: Path, *, sha256: str, executor: Executor) -> "Tokenizer":
        """Reads a tokenizer.json with the SHA-256 `sha256` (hexadecimal). Raises ContractError."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ContractError(f"{path}: cannot be read ({error.strerror}): export the model again") from None
        if (found := hashlib.sha256(data).hexdigest()) != sha256:
            raise ContractError(
                f"{path}: SHA-256 is {found}, but contract.json expects {sha256}: "
                "restore the tokenizer of the export, or export the model again"
            )
        try:
            return cls(tokenizers.Tokenizer.from_buffer(data), executor)
        except Exception as error:  # tokenizers raises bare Exception
            raise ContractError(f"{path}: is not a usable tokenizer ({error}): export the model again") from None

    @property
    def special_tokens(self) -> int:
        """Number of tokens that `wrap` adds."""
        return len(self._prefix) + len(self._suffix)

    @property
    def vocabulary_size(self) -> int:
        """One more than the largest token id, special tokens included."""
        return 1 + max(max(self._tokenizer.get_vocab().values()), *map(int, self._prefix), *map(int, self._suffix))

    @property
    def unknown_id(self) -> int | None:
        """Id of the token for text that the vocabulary lacks. None if it lacks no text."""
        model = json.loads(self._tokenizer.to_str())["model"]
        if (index := model.get("unk_id")) is not None:
            return int(index)
        return self._tokenizer.token_to_id(model.get("unk_token") or "")

    async def encode(self, texts: Sequence[str]) -> list[TokenIds]:
        """Token ids of each text without special tokens, in one task of the thread pool."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._encode, texts)

    async def read_contents(self, texts: Sequence[str], flagger: Flagger | None) -> list[Content]:
        """As `encode`, with the flags of each text.

        Without a flagger, no text has flags.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._contents, texts, flagger)

    def _contents(self, texts: Sequence[str], flagger: Flagger | None) -> list[Content]:
        encoded = self._encode(texts)
        if flagger is None:
            return [Content(token_ids) for token_ids in encoded]
        return list(map(Content, encoded, flagger.all_flags(texts, encoded)))

    def _encode(self, texts: Sequence[str]) -> list[TokenIds]:
        if self._words is not None:
            return self._words.encode(texts)
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]

    def wrap(self, content: TokenIds) -> TokenIds:
        """Adds the special tokens."""
        return np.concatenate((self._prefix, content, self._suffix))


def _special_tokens_around(tokenizer: tokenizers.Tokenizer) -> tuple[list[int], list[int]]:
    """Ids of the special tokens before and after a text. Raises ValueError."""
    for probe in _PROBES:
        if content := tokenizer.encode(probe, add_special_tokens=False).ids:
            whole = tokenizer.encode(probe)
            before = next((i for i, special in enumerate(whole.special_tokens_mask) if not special), 0)
            after = before + len(content)
            if whole.ids[before:after] != content or len(whole.ids) == len(content):
                raise ValueError("it does not put special tokens around a text")
            return whole.ids[:before], whole.ids[after:]
    raise ValueError(f"it has no tokens for any of the characters {' '.join(_PROBES)}")
