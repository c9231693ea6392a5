"""Changes of texts keep what they must not touch."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_model.evaluation.names import CULTURES, GIVEN_NAMES
from undertone_model.evaluation.perturbations import (
    PERTURBATIONS,
    add_typos,
    drop_last_sentence,
    drop_punctuation,
    drop_quotes,
    swap_names,
)

NEW_NAMES = {name for names in CULTURES.values() for name in names}
WORDS = st.sampled_from(
    [*GIVEN_NAMES[:30], "Rose", "will", "Annabel", "whispered", "the", "sea", "don’t", "“Go!”", "it's", "café"]
)
SENTENCES = st.lists(WORDS, min_size=1, max_size=20).map(" ".join)
SEEDS = st.integers(0, 1_000).map(np.random.default_rng)


@given(SENTENCES, SEEDS)
def test_a_swap_of_names_touches_no_other_word(text: str, random: np.random.Generator) -> None:
    changed = swap_names(text, random)
    words = text.split(" ")
    if not set(words) & set(GIVEN_NAMES):
        assert changed is None
        return
    assert changed is not None
    swaps: dict[str, str] = {}
    for before, after in zip(words, changed.split(" "), strict=True):
        if before in GIVEN_NAMES:
            assert after in NEW_NAMES - set(words)
            assert swaps.setdefault(before, after) == after
        else:
            assert after == before
    assert len(set(swaps.values())) == len(swaps)


@given(st.text(max_size=80), SEEDS)
def test_dropped_punctuation_leaves_letters_and_digits(text: str, random: np.random.Generator) -> None:
    changed = drop_punctuation(text, random)
    if changed is not None:
        assert re.findall(r"[^\W_]", changed) == re.findall(r"[^\W_]", text)
        assert not re.search(r"[^\w\s'’]", changed)


@given(st.text(max_size=80) | SENTENCES, SEEDS)
def test_typos_only_exchange_letters_within_words(text: str, random: np.random.Generator) -> None:
    changed = add_typos(text, random)
    if changed is None:
        return
    assert changed != text
    moved = 0
    for before, after in zip(re.split(r"(\s)", text), re.split(r"(\s)", changed), strict=True):
        assert Counter(before) == Counter(after)
        assert (before[:1], before[-1:]) == (after[:1], after[-1:])
        moved += before != after
    assert moved <= max(1, len(text.split()) // 12)


@given(st.text(max_size=60) | SENTENCES)
def test_a_change_depends_only_on_the_text_and_the_seed(text: str) -> None:
    for perturb in PERTURBATIONS.values():
        assert perturb(text, np.random.default_rng(1)) == perturb(text, np.random.default_rng(1)) != text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("“Go,” she said. ‘Now!’ It’s Anna’s dog.", "Go, she said. Now! It’s Anna’s dog."),
        ('"Go," she said.', "Go, she said."),
        ("It’s the boys’ house.", None),
        ("Nothing here.", None),
    ],
)
def test_quotes_are_dropped_and_apostrophes_stay(text: str, expected: str | None) -> None:
    assert drop_quotes(text, np.random.default_rng(0)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rained. She left! He wept.", "It rained. She left!"),
        ("“Go!” He went.", "“Go!”"),
        ("Only one, mr. smith.", None),
        ("No end", None),
    ],
)
def test_the_last_sentence_is_dropped(text: str, expected: str | None) -> None:
    assert drop_last_sentence(text, np.random.default_rng(0)) == expected


def test_names_are_not_english_words() -> None:
    words = {"Rose", "Will", "Grace", "Hope", "Mark", "Jack", "May", "June", "Joy", "Faith", "Bill", "Pat", "Art", "Miles"}
    assert not words & ({*GIVEN_NAMES} | NEW_NAMES)
    assert len(set(GIVEN_NAMES)) == len(GIVEN_NAMES)
