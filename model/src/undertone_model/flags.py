"""Flags of texts that a model was not made for, and their thresholds.

The measures are those of the sidecar (undertone_sidecar.flags), and their definitions are in
contract.proto (FlagThresholds). The thresholds are fitted on texts that the model was made for:

- A text is foreign if the margin of another language exceeds that of nearly all paragraphs and
  sentences of the fit.
- A text is unreadable if it has more tokens per character than the middle between the texts of the
  fit and the same paragraphs with the letters of each word shuffled.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from py3langid.langid import MODEL_FILE, LanguageIdentifier
from tokenizers import Tokenizer
from undertone_protos.v1 import contract_pb2

from undertone_model.data import Sample
from undertone_model.errors import ExportError
from undertone_model.special_tokens import unknown_token

LANGUAGE_CHARACTERS: Final = 300
SMOOTHING_CHARACTERS: Final = 30

LANGUAGE_QUANTILE: Final = 0.9995
USUAL_QUANTILE: Final = 0.999
SHUFFLED_QUANTILE: Final = 0.01
UNKNOWN_TOKENS: Final = 0.5

MIN_PARAGRAPHS: Final = 100
"""Paragraphs that a fit needs."""

_SEED: Final = 16
_SENTENCE_END: Final = re.compile(r"(?<=[.!?。！？।؟])[\"”’»']*\s*")


@cache
def language_identifier() -> LanguageIdentifier:
    """The language detector."""
    identifier: LanguageIdentifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    return identifier


def language_margin(text: str, languages: Sequence[str]) -> float:
    """As undertone_sidecar.flags.language_margin."""
    start = text[:LANGUAGE_CHARACTERS]
    if not start:
        return 0.0
    ranked = language_identifier().rank(start)
    other, ours = (next(score for name, score in ranked if (name in languages) == own) for own in (False, True))
    return float(other - ours) / math.sqrt(len(start.encode(errors="surrogatepass")))


def tokens_per_character(texts: Sequence[str], tokens: NDArray[np.int64], usual: float) -> NDArray[np.float64]:
    """As undertone_sidecar.flags.tokens_per_character, of each text."""
    ratios: NDArray[np.float64] = (tokens + SMOOTHING_CHARACTERS * usual) / (_characters(texts) + SMOOTHING_CHARACTERS)
    return ratios


def fit_thresholds(tokenizer: Tokenizer, languages: Sequence[str], sample: Sample) -> contract_pb2.FlagThresholds:
    """Thresholds for a model of these languages, from texts that it was made for.

    Raises ExportError for a language that the detector does not know, and for few texts.
    """
    if unknown := [language for language in languages if language not in language_identifier().labels]:
        known = ", ".join(sorted(language_identifier().labels))
        raise ExportError(f"--languages {unknown[0]!r} is unknown to the language detector; it knows {known}")
    if len(sample.texts) < MIN_PARAGRAPHS:
        raise ExportError(
            f"--languages needs a --sample with at least {MIN_PARAGRAPHS} texts, but {sample.name} has {len(sample.texts)}"
        )
    texts = [*sample.texts, *sentences(sample.texts)]
    tokens, characters = _tokens(tokenizer, texts), _characters(texts)
    usual = float(tokens.sum() / characters.sum())
    shuffled = [shuffle_letters(text, np.random.default_rng([_SEED, row])) for row, text in enumerate(sample.texts)]
    usual_limit = np.quantile(tokens_per_character(texts, tokens, usual), USUAL_QUANTILE)
    shuffled_limit = np.quantile(tokens_per_character(shuffled, _tokens(tokenizer, shuffled), usual), SHUFFLED_QUANTILE)
    margin = np.quantile([language_margin(text, languages) for text in texts], LANGUAGE_QUANTILE)
    # Shuffled letters do not matter to a tokenizer whose tokens are characters or bytes.
    separates = shuffled_limit > usual_limit
    return contract_pb2.FlagThresholds(
        languages=languages,
        language_margin=round(float(margin), 3),
        tokens_per_character=round(float(usual_limit + shuffled_limit) / 2, 4) if separates else 0.0,
        usual_tokens_per_character=round(usual, 4),
        unknown_tokens=UNKNOWN_TOKENS,
        sample=sample.name,
        sample_sha256=sample.sha256,
    )


@dataclass(frozen=True, slots=True, eq=False)
class FoundFlags:
    """Which texts have each flag: shape [texts]."""

    language: NDArray[np.bool_]
    unreadable: NDArray[np.bool_]

    @property
    def any(self) -> NDArray[np.bool_]:
        """Which texts have any flag."""
        return self.language | self.unreadable


def find_flags(thresholds: contract_pb2.FlagThresholds, tokenizer: Tokenizer, texts: Sequence[str]) -> FoundFlags:
    """The flags of texts, as the sidecar finds them."""
    language = np.zeros(len(texts), np.bool_)
    if thresholds.languages:
        margins = [language_margin(text, thresholds.languages) for text in texts]
        language = np.array(margins) > thresholds.language_margin
    unreadable = np.zeros(len(texts), np.bool_)
    if thresholds.tokens_per_character:
        tokens = _tokens(tokenizer, texts)
        ratios = tokens_per_character(texts, tokens, thresholds.usual_tokens_per_character)
        unreadable = ratios > thresholds.tokens_per_character
        unreadable |= _unknown(tokenizer, texts) >= thresholds.unknown_tokens * tokens
        unreadable &= tokens > 0
    return FoundFlags(language, unreadable)


def sentences(texts: Sequence[str]) -> list[str]:
    """The sentences of texts, roughly."""
    return [sentence for text in texts for sentence in _SENTENCE_END.split(text) if sentence.strip()]


def shuffle_letters(text: str, random: np.random.Generator) -> str:
    """The text with the characters of each word in a random order."""
    return " ".join("".join(random.permutation(list(word))) for word in text.split())


def _characters(texts: Sequence[str]) -> NDArray[np.int64]:
    return np.array([len("".join(text.split())) for text in texts], dtype=np.int64)


def _tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.int64]:
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return np.array([len(encoding.ids) for encoding in encodings], dtype=np.int64)


def _unknown(tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.float64]:
    """The number of unknown tokens of each text; -infinity if the vocabulary lacks no text."""
    unknown = unknown_token(tokenizer)
    if unknown is None:
        return np.full(len(texts), -np.inf)
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return np.array([encoding.ids.count(unknown) for encoding in encodings], dtype=np.float64)
