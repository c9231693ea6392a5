"""Flags of texts that the model was not made for: a foreign language, or text that it cannot read.

Both measures are in the contract (FlagThresholds) with their thresholds. They need no second run
of the model: a foreign text has confident probabilities, too.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from py3langid.langid import MODEL_FILE, LanguageIdentifier
from undertone_protos.v1 import classifier_pb2, contract_pb2

from undertone_sidecar.errors import ContractError

Flags = tuple["classifier_pb2.Flag.ValueType", ...]
"""Flags of a text, ascending."""

TokenIds = npt.NDArray[np.int32]

LANGUAGE_CHARACTERS: Final = 300
"""The first characters, from which the language is detected. They bound the time to 0.2 ms."""

SMOOTHING_CHARACTERS: Final = 30
"""Characters with the usual number of tokens that each text is extended by."""


def flag_name(flag: "classifier_pb2.Flag.ValueType") -> str:
    """The short name of a flag, such as "language"."""
    return classifier_pb2.Flag.Name(flag).removeprefix("FLAG_").lower()


@cache
def language_identifier() -> LanguageIdentifier:
    """The language detector. The first call reads its model: 1 s, 75 MB of memory."""
    identifier: LanguageIdentifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    return identifier


def language_margin(text: str, languages: frozenset[str]) -> float:
    """The evidence for another language than `languages`: positive if another one is more probable.

    The sum of the log-probabilities grows with the text, and its noise with the square root of it.
    0 for an empty text.
    """
    start = text[:LANGUAGE_CHARACTERS]
    if not start:
        return 0.0
    ranked = language_identifier().rank(start)
    other, ours = (next(score for name, score in ranked if (name in languages) == own) for own in (False, True))
    return float(other - ours) / math.sqrt(len(start.encode(errors="surrogatepass")))


def tokens_per_character(text: str, tokens: int, usual: float) -> float:
    """Tokens for each character that is no white space. In short texts, `usual` has more weight."""
    characters = len("".join(text.split()))
    return (tokens + SMOOTHING_CHARACTERS * usual) / (characters + SMOOTHING_CHARACTERS)


@dataclass(frozen=True, slots=True)
class Flagger:
    """Finds the flags of texts.

    Attributes:
        languages: Languages of the model. Empty: no text is foreign.
        language_margin: Threshold of `language_margin`.
        max_tokens_per_character: Threshold of `tokens_per_character`. 0: all texts are readable.
        usual_tokens_per_character: The usual number.
        unknown_tokens: Share of unknown tokens with which a text is unreadable.
        unknown_id: Id of the unknown token, or None.
    """

    languages: frozenset[str]
    language_margin: float
    max_tokens_per_character: float
    usual_tokens_per_character: float
    unknown_tokens: float
    unknown_id: int | None

    @classmethod
    def of(cls, thresholds: contract_pb2.FlagThresholds, unknown_id: int | None) -> "Flagger":
        """The flagger of a contract. Loads the language detector if it is needed.

        Raises ContractError if the detector does not know a language.
        """
        if thresholds.languages:
            known = language_identifier().labels
            if unknown := sorted(set(thresholds.languages).difference(known)):
                raise ContractError(f"the language detector does not know the language {unknown[0]!r} of the contract")
        return cls(
            languages=frozenset(thresholds.languages),
            language_margin=thresholds.language_margin,
            max_tokens_per_character=thresholds.tokens_per_character,
            usual_tokens_per_character=thresholds.usual_tokens_per_character,
            unknown_tokens=thresholds.unknown_tokens,
            unknown_id=unknown_id,
        )

    def flags(self, text: str, token_ids: TokenIds) -> Flags:
        """The flags of a text. `token_ids` is the whole text without special tokens."""
        flags = []
        if self.languages and language_margin(text, self.languages) > self.language_margin:
            flags.append(classifier_pb2.FLAG_LANGUAGE)
        if self.max_tokens_per_character and len(token_ids) and self._is_unreadable(text, token_ids):
            flags.append(classifier_pb2.FLAG_UNREADABLE)
        return tuple(flags)

    def all_flags(self, texts: Sequence[str], contents: Sequence[TokenIds]) -> list[Flags]:
        """The flags of each text. Gives other threads a turn after each text."""
        all_flags = []
        for text, token_ids in zip(texts, contents, strict=True):
            all_flags.append(self.flags(text, token_ids))
            # The detector is Python code, which other threads wait for. The event loop must not.
            time.sleep(0)
        return all_flags

    def _is_unreadable(self, text: str, token_ids: TokenIds) -> bool:
        if tokens_per_character(text, len(token_ids), self.usual_tokens_per_character) > self.max_tokens_per_character:
            return True
        if self.unknown_id is None or not self.unknown_tokens:
            return False
        return int(np.count_nonzero(token_ids == self.unknown_id)) >= self.unknown_tokens * len(token_ids)
