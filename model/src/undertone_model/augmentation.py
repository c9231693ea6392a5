"""Changes of a training text that must not change its emotion.

They are the changes that `undertone-model evaluate` measures, with other names: no name of the
suites is a substitute here. Lower case is not among them, because the tokenizer ignores case.
"""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from undertone_model.evaluation.names import CULTURES, GIVEN_NAMES
from undertone_model.evaluation.perturbations import add_typos, drop_punctuation, drop_quotes, swap_names

TRAINING_NAMES: Final = tuple(name for name in GIVEN_NAMES if not any(name in names for names in CULTURES.values()))
"""Substitutes of names: none is in a suite."""

INVENTED_SHARE: Final = 0.5
"""Share of texts whose substitutes are invented names, which are in no list of names."""

MENTIONS_SHARE: Final = 0.6
"""Share of texts in which all words with a capital within a sentence are replaced."""

_ONSETS: Final = (
    "b",
    "d",
    "f",
    "g",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "y",
    "z",
    "ch",
    "kh",
    "sh",
    "th",
    "tr",
)
_VOWELS: Final = ("a", "e", "i", "o", "u", "ai", "ei", "ou")
_ENDINGS: Final = ("", "", "n", "l", "r", "s", "m", "k")


_MENTION: Final = re.compile(r"(?<=[a-zà-ÿ,;] )[A-ZÀ-Þ][a-zà-ÿ]{2,}\b(?!['’])")
# Words that begin with a capital and are no names of persons or places.
_NO_NAMES: Final = frozenset((
    "God", "Lord", "Lady", "Sir", "Mrs", "Miss", "Mister", "Madam", "Madame", "Doctor", "Captain", "Inspector",
    "Father", "Mother", "Sister", "Brother", "Uncle", "Aunt", "Auntie", "Grandfather", "Grandmother", "Mama", "Papa",
    "Heaven", "Hell", "Christmas", "Easter", "English", "French", "German", "Spanish", "Italian", "Monday", "Tuesday",
    "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
))  # fmt: skip


def augment(text: str, random: np.random.Generator) -> str:
    """The text with other names, and mostly with one more change: no punctuation, no quotation
    marks, or typos. A change that does not apply leaves the text as it is.
    """
    text = swap_all_names(text, random)
    change = random.choice(4, p=(0.45, 0.15, 0.3, 0.1))
    if change == 0:
        return drop_punctuation(text, random) or text
    if change == 1:
        return drop_quotes(text, random) or text
    return (add_typos(text, random) or text) if change == 2 else text


def swap_all_names(text: str, random: np.random.Generator) -> str:
    """The text with other names, which are in no suite, or invented."""
    substitutes = [invent_name(random) for _ in range(40)] if random.random() < INVENTED_SHARE else TRAINING_NAMES
    text = swap_names(text, random, substitutes) or text
    return swap_mentions(text, random, substitutes) if random.random() < MENTIONS_SHARE else text


def swap_mentions(text: str, random: np.random.Generator, substitutes: Sequence[str]) -> str:
    """Replaces words that have a capital within a sentence, which are mostly names of persons and
    places in no list, in all places of the text.
    """
    mentions = sorted(set(_MENTION.findall(text)) - _NO_NAMES)
    if not mentions or len(mentions) > len(substitutes):
        return text
    chosen = random.permutation(len(substitutes))[: len(mentions)].tolist()
    swaps = {mention: substitutes[index] for mention, index in zip(mentions, chosen, strict=True)}
    return re.sub(rf"\b(?:{'|'.join(mentions)})\b", lambda match: swaps[match[0]], text)


def invent_name(random: np.random.Generator) -> str:
    """A name of two or three random syllables, such as "Tokhai"."""
    syllables = (
        _ONSETS[random.integers(len(_ONSETS))] + _VOWELS[random.integers(len(_VOWELS))] for _ in range(random.integers(2, 4))
    )
    return "".join((*syllables, _ENDINGS[random.integers(len(_ENDINGS))])).capitalize()
