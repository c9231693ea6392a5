"""Changes of a text that must not change its emotion.

Each returns None if it does not apply to a text: there is no name, no quotation mark, or only one
sentence. Only the last is debatable: it measures how much a label depends on one sentence.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from undertone_model.evaluation.names import CULTURES, GIVEN_NAMES

Perturbation = Callable[[str, np.random.Generator], str | None]

_NAME: Final = re.compile(rf"\b(?:{'|'.join(GIVEN_NAMES)})\b")
_SWAPS: Final = tuple(name for names in CULTURES.values() for name in names)
# An apostrophe between two letters belongs to the word.
_PUNCTUATION: Final = re.compile(r"(?<!\w)['’]|['’](?!\w)|[^\w\s'’]|_")
_QUOTES: Final = re.compile(r"[\"“”„«»]|(?<!\w)['‘’]|(?<=[.,!?…—-])['’]")
_LONG_WORD: Final = re.compile(r"\b[^\W\d_]{4,}\b")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])[\"”’']*\s+(?=[\"“‘'A-Z])")
WORDS_PER_TYPO: Final = 12


def swap_names(text: str, random: np.random.Generator, substitutes: Sequence[str] = _SWAPS) -> str | None:
    """Replaces given names by random `substitutes` that the text does not have. All places of a
    name have the same new name. By default, the substitutes are the names of CULTURES.
    """
    names = sorted(set(_NAME.findall(text)))
    others = [name for name in dict.fromkeys(substitutes) if name not in names]
    if not names or len(names) > len(others):
        return None
    chosen = random.permutation(len(others))[: len(names)].tolist()
    swaps = {name: others[index] for name, index in zip(names, chosen, strict=True)}
    return _NAME.sub(lambda match: swaps[match[0]], text)


def drop_punctuation(text: str, random: np.random.Generator) -> str | None:
    """Replaces punctuation by spaces. Apostrophes within words stay."""
    return _changed(text, " ".join(_PUNCTUATION.sub(" ", text).split()))


def drop_quotes(text: str, random: np.random.Generator) -> str | None:
    """Removes quotation marks. Apostrophes within words stay."""
    return _changed(text, _QUOTES.sub("", text))


def add_typos(text: str, random: np.random.Generator) -> str | None:
    """Exchanges two neighbouring inner letters in one of 12 words, but in at least one word."""
    words = [match for match in _LONG_WORD.finditer(text) if len(set(match[0][1:-1])) > 1]
    if not words:
        return None
    count = min(len(words), max(1, len(text.split()) // WORDS_PER_TYPO))
    letters = list(text)
    for index in random.choice(len(words), size=count, replace=False).tolist():
        start, end = words[index].span()
        places = [place for place in range(start + 1, end - 2) if letters[place] != letters[place + 1]]
        place = places[int(random.integers(len(places)))]
        letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)


def lower_case(text: str, random: np.random.Generator) -> str | None:
    """The text in lower case."""
    return _changed(text, text.lower())


def drop_last_sentence(text: str, random: np.random.Generator) -> str | None:
    """The text without its last sentence."""
    ends = list(_SENTENCE_END.finditer(text))
    return text[: ends[-1].end()].rstrip() if ends else None


def _changed(text: str, changed: str) -> str | None:
    return changed if changed and changed != text else None


PERTURBATIONS: Final[dict[str, Perturbation]] = {
    "names swapped": swap_names,
    "punctuation dropped": drop_punctuation,
    "quotes dropped": drop_quotes,
    "typos": add_typos,
    "lower case": lower_case,
    "last sentence dropped": drop_last_sentence,
}
