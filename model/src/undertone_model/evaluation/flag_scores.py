"""Which texts get a flag: texts that must have one, and English that must not."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from undertone_model.data import PACKAGED_STORIES, load_stories
from undertone_model.evaluation.bootstrap import SEED
from undertone_model.evaluation.suites import load_flag_suites
from undertone_model.flags import FoundFlags, shuffle_letters

FindFlags: TypeAlias = Callable[[Sequence[str]], FoundFlags]

STORY_STEP: Final = 4
"""Every such story paragraph is changed: those of all genres and emotions."""

SHORT_WORDS: Final = 4
"""Words of a short text, in languages that separate words."""


@dataclass(frozen=True, slots=True)
class FlagScores:
    """The flags of one set of texts.

    `must_have_flag` says which share is right: all, or none. `flagged`, `language` and `unreadable`
    are shares of the texts, with any flag and with each. `confidence` is the median of the largest
    probability; None for texts that are not predicted.
    """

    model: str
    data: str
    must_have_flag: bool
    texts: int
    flagged: float
    language: float
    unreadable: float
    confidence: float | None


def strange_texts() -> dict[str, tuple[str, ...]]:
    """Texts that must have a flag: suites, and changed story paragraphs, by name."""
    suites = load_flag_suites()
    stories = [example.text for example in load_stories(PACKAGED_STORIES, "test").examples][::STORY_STEP]
    starts = (" ".join(text.split()[:SHORT_WORDS]) for text in suites["languages"])
    shuffled = (shuffle_letters(text, np.random.default_rng([SEED, row])) for row, text in enumerate(stories))
    return {
        "18 languages": suites["languages"],
        f"18 languages, the first {SHORT_WORDS} words": tuple(dict.fromkeys(starts)),
        "stories, letters of each word shuffled": tuple(shuffled),
        "stories, Base64": tuple(base64.b64encode(text.encode()).decode() for text in stories),
        "emojis": suites["emojis"],
        "keyboard noise": suites["keyboard"],
        "HTML": suites["html"],
        "source code": suites["code"],
    }


def unusual_english() -> dict[str, tuple[str, ...]]:
    """English fiction that is easily taken for another language, by name."""
    suites = load_flag_suites()
    return {
        "dialect": suites["dialect"],
        "many names of other cultures": suites["names"],
        "quotes in other languages": suites["quotes"],
        "archaic English": suites["archaic"],
    }


def score_flags(
    model: str,
    find: FindFlags,
    confidence: Callable[[Sequence[str]], float | None],
    usual: Mapping[str, Sequence[str]],
) -> list[FlagScores]:
    """The flags of all suites, and of the `usual` texts, which must have none."""

    def score(name: str, texts: Sequence[str], *, must_have_flag: bool) -> FlagScores:
        found = find(texts)
        any_flag, language, unreadable = (float(flags.mean()) for flags in (found.any, found.language, found.unreadable))
        return FlagScores(model, name, must_have_flag, len(texts), any_flag, language, unreadable, confidence(texts))

    strange = [score(name, texts, must_have_flag=True) for name, texts in strange_texts().items()]
    english = {**unusual_english(), **usual}
    return [*strange, *(score(name, texts, must_have_flag=False) for name, texts in english.items())]
