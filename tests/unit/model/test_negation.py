"""Pairs of an emotion and its negation, made by rules."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_model import negation
from undertone_model.data import PACKAGED_STORIES, Example, load_stories
from undertone_model.emotion_words import WORDS
from undertone_model.emotions import EMOTIONS
from undertone_model.evaluation.suites import SUITES, load_suite
from undertone_model.training_sets import load_fiction

NO = re.compile(
    r"\b(?:no|not|nobody|none|never|nor|nothing|hardly|far from|anything but|without|gone|end|left|stopped|given up)\b|n't",
    re.IGNORECASE,
)


def example(text: str, emotion: str) -> Example:
    return Example(text, negation.target({emotion: 1.0}))


@given(st.sampled_from(sorted(negation.NEGATED)), st.integers(0, 10_000))
def test_a_pair_has_an_emotion_and_a_negation_of_the_same_words(emotion: str, seed: int) -> None:
    pair = negation.make_pair(emotion, np.random.default_rng(seed))
    assert pair.first.target == negation.target({emotion: 1.0})
    assert sum(pair.second.target) == pytest.approx(1)
    assert pair.second.target[EMOTIONS.index(emotion)] == 0
    assert pair.first.text != pair.second.text
    words = WORDS[emotion]
    verbs = [form for verb in words.verbs for form in (*verb, negation.gerund(verb[1]))]
    named = [*words.adjectives, *words.nouns, *verbs, *(form for verb in words.causes for form in verb)]
    for text in (pair.first.text, pair.second.text):
        assert any(word in text for word in named)
        assert "{" not in text
        assert text[0].isupper() or text[0] == "“"
    assert NO.search(pair.second.text)


def test_emotions_are_equally_frequent_and_rewritten_pairs_are_a_third_at_most() -> None:
    rewritten = [pair] * 10 if (pair := negation.rewrite(example("I was glad", "joy"))) else []
    pairs = negation.contrast_pairs(90, rewritten, np.random.default_rng(1))
    assert len(pairs) == 90
    made = [p for p in pairs if p not in rewritten]
    assert {sum(p.first.target == negation.target({emotion: 1.0}) for p in made) for emotion in negation.NEGATED} == {10}


@pytest.mark.parametrize(
    ("text", "emotion", "negated"),
    [
        ("I'm so happy for you!", "joy", "I'm not so happy for you!"),
        ("She was terrified .", "fear", "She was not terrified ."),
        ("He's quite fond of her", "love", "He's not quite fond of her"),
    ],
)
def test_a_short_text_that_names_its_emotion_is_negated(text: str, emotion: str, negated: str) -> None:
    pair = negation.rewrite(example(text, emotion))
    assert pair
    assert pair.first.text == text
    assert pair.second.text == negated
    assert pair.second.target == negation.target(negation.NEGATED[emotion])


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("She was terrified.", "joy"),
        ("I'm not happy", "joy"),
        ("He was neutral.", "neutral"),
        ("I was happy " + "word " * 20, "joy"),
        ("The happy dog", "joy"),
    ],
)
def test_other_texts_are_not_negated(text: str, emotion: str) -> None:
    assert negation.rewrite(example(text, emotion)) is None


def word_sequences(text: str, length: int) -> set[tuple[str, ...]]:
    words = re.findall(r"[\w']+", text.lower().replace("’", "'"))
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


def test_no_training_text_shares_seven_words_in_a_row_with_a_suite() -> None:
    suites = {words for suite in SUITES for row in load_suite(suite) for words in word_sequences(row.text, 7)}
    random = np.random.default_rng(7)
    pairs = negation.contrast_pairs(4000, [], random)
    texts = [text for pair in pairs for text in (pair.first.text, pair.second.text)]
    fiction = PACKAGED_STORIES.parents[3] / "data" / "fiction"
    texts += [row.text for short in (False, True) for row in load_fiction(fiction, "train", short=short).examples]
    texts += [row.text for row in load_stories(PACKAGED_STORIES, "train").examples]
    assert [text for text in texts if word_sequences(text, 7) & suites] == []
