"""Every label of GoEmotions becomes one of the nine emotions."""

from collections import Counter

from undertone_model.emotions import EMOTIONS, GOEMOTIONS


def test_all_labels_of_goemotions_are_mapped() -> None:
    assert len(GOEMOTIONS) == 28


def test_they_are_mapped_to_the_nine_and_to_all_of_them() -> None:
    assert len(set(EMOTIONS)) == 9
    assert set(GOEMOTIONS.values()) == set(EMOTIONS)


def test_a_label_that_is_one_of_the_nine_stays_what_it_is() -> None:
    assert {emotion: GOEMOTIONS[emotion] for emotion in EMOTIONS if emotion in GOEMOTIONS} == {
        emotion: emotion for emotion in EMOTIONS if emotion != "anticipation"
    }


def test_opposites_do_not_meet() -> None:
    assert GOEMOTIONS["gratitude"] == GOEMOTIONS["relief"] == "joy"
    assert GOEMOTIONS["grief"] == GOEMOTIONS["remorse"] == "sadness"
    assert GOEMOTIONS["annoyance"] == "anger"
    assert GOEMOTIONS["nervousness"] == "fear"
    assert Counter(GOEMOTIONS.values())["neutral"] == 4
