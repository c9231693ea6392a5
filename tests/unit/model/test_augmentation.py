"""Changes of training texts keep the words that carry the emotion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_model.augmentation import TRAINING_NAMES, augment, invent_name, swap_mentions
from undertone_model.evaluation.names import CULTURES, GIVEN_NAMES

SEEDS = st.integers(0, 10_000).map(np.random.default_rng)
SUITE_NAMES = {name for names in CULTURES.values() for name in names}
TEXT = "She wept when Margaret told Oksana, in Bristol, that “it is over”. God knew why, and May was cold."


def test_no_name_of_the_suites_is_a_substitute() -> None:
    assert set(TRAINING_NAMES) == set(GIVEN_NAMES) - SUITE_NAMES


@given(SEEDS)
def test_an_invented_name_is_one_word_with_a_capital(random: np.random.Generator) -> None:
    name = invent_name(random)
    assert name.isalpha()
    assert name == name.capitalize()
    assert 3 <= len(name) <= 14


@given(SEEDS)
def test_a_changed_text_has_as_many_words_and_no_name_of_a_suite(random: np.random.Generator) -> None:
    changed = augment(TEXT, random)
    assert len(changed.split()) == len(TEXT.split())
    assert not SUITE_NAMES & set(changed.replace(",", "").split())


@given(SEEDS)
def test_mentions_are_replaced_everywhere_and_no_other_word(random: np.random.Generator) -> None:
    text = "Bristol slept. We saw Bristol and Ann on a Monday; I'd told Ann to pray to God."
    changed = swap_mentions(text, random, ("Kofi", "Ines")).split()
    first, second = changed[0], changed[6]
    assert {first, second} == {"Kofi", "Ines"}
    assert " ".join(changed) == text.replace("Bristol", first).replace("Ann", second)


def test_a_text_without_names_is_unchanged_by_swaps() -> None:
    random = np.random.default_rng(0)
    assert swap_mentions("it was cold on Monday", random, TRAINING_NAMES) == "it was cold on Monday"
    assert swap_mentions("We met Ann and Bob.", random, ("Kofi",)) == "We met Ann and Bob."


@pytest.mark.parametrize("text", ["", "…", "a", "Oksana"])
def test_texts_of_any_kind_can_be_changed(text: str) -> None:
    for seed in range(20):
        assert isinstance(augment(text, np.random.default_rng(seed)), str)
