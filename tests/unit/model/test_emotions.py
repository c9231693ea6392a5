"""The mapping of GoEmotions' labels to the nine emotions."""

from collections import Counter

from undertone_model.emotions import EMOTIONS, GOEMOTIONS


def test_all_labels_of_goemotions_are_mapped() -> None:
    assert len(GOEMOTIONS) == 28


def test_each_of_the_nine_emotions_has_a_label() -> None:
    assert len(set(EMOTIONS)) == 9
    assert set(GOEMOTIONS.values()) == set(EMOTIONS)


def test_labels_of_the_nine_emotions_are_unchanged() -> None:
    assert {emotion: GOEMOTIONS[emotion] for emotion in EMOTIONS if emotion in GOEMOTIONS} == {
        emotion: emotion for emotion in EMOTIONS if emotion != "anticipation"
    }


def test_related_labels_map_to_the_same_emotion() -> None:
    assert GOEMOTIONS["gratitude"] == GOEMOTIONS["relief"] == "joy"
    assert GOEMOTIONS["grief"] == GOEMOTIONS["remorse"] == "sadness"
    assert GOEMOTIONS["annoyance"] == "anger"
    assert GOEMOTIONS["nervousness"] == "fear"
    assert Counter(GOEMOTIONS.values())["neutral"] == 4
