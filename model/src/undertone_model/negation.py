"""Pairs of an emotion and its negation, made by rules: "He was afraid of it" and "He wasn't afraid
of it".

The second text of a pair has another target than the first. What a negation leaves is a matter of
degree, so its target is soft: no joy is mostly sadness, and no fear is mostly neutral. Many of the
affirmative texts have a word of negation, too ("She had never been so glad"), so that the word
alone does not decide.
"""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from undertone_model.augmentation import TRAINING_NAMES, invent_name
from undertone_model.data import Example
from undertone_model.emotion_words import WORDS, EmotionWords
from undertone_model.emotions import EMOTIONS
from undertone_model.negation_patterns import ACTIONS, ADJECTIVE, CAUSED, CAUSES, NOUN, PEOPLE, PERSONS, PLACES, VERB, Person
from undertone_model.text_pairs import Pair

NEGATED: Final = {
    "joy": {"sadness": 0.65, "neutral": 0.25, "anger": 0.1},
    "sadness": {"neutral": 0.7, "joy": 0.3},
    "anger": {"neutral": 0.85, "joy": 0.15},
    "fear": {"neutral": 0.8, "joy": 0.2},
    "anticipation": {"neutral": 0.65, "sadness": 0.35},
    "surprise": {"neutral": 1.0},
    "love": {"sadness": 0.45, "neutral": 0.35, "anger": 0.2},
    "disgust": {"neutral": 0.85, "joy": 0.15},
}
"""What remains of each emotion that is negated: the shares of the target."""

LONGEST: Final = 16
"""Words of the longest text that is rewritten. In a longer text, other words have the emotion."""


def contrast_pairs(count: int, rewritten: Sequence[Pair], random: np.random.Generator) -> list[Pair]:
    """`count` random pairs: a third of `rewritten` (fewer if there are not enough), the others from
    patterns, with the eight emotions equally often.
    """
    chosen = [rewritten[row] for row in random.permutation(len(rewritten))[: count // 3].tolist()]
    return chosen + [make_pair(tuple(NEGATED)[index % len(NEGATED)], random) for index in range(count - len(chosen))]


def make_pair(emotion: str, random: np.random.Generator) -> Pair:
    """A pair from a random pattern."""
    words = WORDS[emotion]
    patterns = (ADJECTIVE, NOUN, VERB, CAUSED)[int(random.choice(4, p=(0.4, 0.25, 0.18, 0.17)))]
    pattern = patterns[int(random.integers(len(patterns)))]
    values = _values(words, random)
    action = ""
    if random.random() < 0.5:
        action = _pick(ACTIONS, random).format(**values)
        action = action[0].upper() + action[1:]
    if action and random.random() < 0.25:
        affirmed, negated = (f"{action} {text.format(**values)}" for text in pattern)
    else:
        affirmed, negated = (f"{text.format(**values)} {action}".rstrip() for text in pattern)
    return Pair(Example(affirmed, target({emotion: 1.0})), Example(negated, target(NEGATED[emotion])), copies=False)


def rewrite(example: Example) -> Pair | None:
    """The pair of a short text and a copy with "not" in front of the emotion that the text names.

    None if the text is long, has a negation, or does not name its only emotion as an adjective
    after a form of "be".
    """
    emotion = EMOTIONS[example.label]
    if not example.has_single_emotion or emotion not in WORDS or len(example.text.split()) > LONGEST:
        return None
    if _NEGATION.search(example.text):
        return None
    negated, changes = _NAMED[emotion].subn(r"\1 not\2", example.text, count=1)
    return Pair(example, Example(negated, target(NEGATED[emotion])), copies=False) if changes else None


def target(shares: dict[str, float]) -> tuple[float, ...]:
    """The shares over EMOTIONS."""
    return tuple(shares.get(name, 0.0) for name in EMOTIONS)


_NEGATION: Final = re.compile(
    r"\b(?:not|no|never|nobody|nothing|none|neither|nor|without|hardly|cannot)\b|n['’]t\b", re.IGNORECASE
)
_NAMED: Final = {
    emotion: re.compile(
        rf"\b(am|is|are|was|were|i['’]m|you['’]re|we['’]re|they['’]re|he['’]s|she['’]s|im)"
        rf"((?: so| very| really| quite| too| just| still| absolutely)* (?:{'|'.join(words.adjectives)})\b)",
        re.IGNORECASE,
    )
    for emotion, words in WORDS.items()
}


def _values(words: EmotionWords, random: np.random.Generator) -> dict[str, str]:
    name = invent_name(random) if random.random() < 0.3 else _pick(TRAINING_NAMES, random)
    person = PERSONS[int(random.integers(len(PERSONS)))]
    if random.random() < 0.35:
        person = Person(name, *(("her", "her") if random.random() < 0.5 else ("his", "him")))
    cause = _pick(CAUSES, random)
    caused, cause_infinitive = words.causes[int(random.integers(len(words.causes)))]
    past, infinitive, participle = words.verbs[int(random.integers(len(words.verbs)))]
    return {
        "s": person.subject,
        "S": _capital(person.subject),
        "p": person.possessive,
        "P": _capital(person.possessive),
        "o": person.object,
        "was": person.was,
        "a": _pick(words.adjectives, random),
        "n": _pick(words.nouns, random),
        "v": past,
        "i": infinitive,
        "v2": participle,
        "g": gerund(infinitive),
        "d": caused,
        "e": cause_infinitive,
        "of": f" {words.preposition} {cause}" if words.preposition and random.random() < 0.5 else "",
        "at": f" about {cause}" if words.preposition and random.random() < 0.4 else "",
        "c": cause,
        "C": _capital(cause),
        "place": _pick(PLACES, random),
        "people": _pick(PEOPLE, random),
        "name": name,
    }


def gerund(infinitive: str) -> str:
    """The gerund of a verb with or without an object: "waiting for it"."""
    verb, *rest = infinitive.split()
    return " ".join((f"{verb.removesuffix('e')}ing", *rest))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _pick(values: Sequence[str], random: np.random.Generator) -> str:
    return values[int(random.integers(len(values)))]
