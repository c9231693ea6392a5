"""Paragraphs that are told apart, and whether each of them was answered once and rightly."""

import random
from collections.abc import Iterable, Sequence
from typing import Final

from undertone_client import Failure, Outcome, Paragraph
from undertone_client.testing import expected_probabilities

TOLERANCE: Final = 1e-6
"""Of a probability: they travel as single-precision numbers."""

_WORDS: Final = ("rain", "on", "the", "harbour", "she", "laughed", "a", "letter", "came", "too", "late", "again")


def paragraphs(count: int, *, longest: int = 40, seed: int = 0) -> list[Paragraph]:
    """Different paragraphs of 2 to `longest` words and one; the id is the place."""
    choose = random.Random(seed)
    texts = (" ".join(choose.choices(_WORDS, k=choose.randint(2, longest))) for _ in range(count))
    return [Paragraph(f"{text} {number}", str(number)) for number, text in enumerate(texts)]


def assert_answered(sent: Sequence[Paragraph], outcomes: Iterable[Outcome], *, failing: Iterable[str] = ()) -> None:
    """Nothing lost, nothing answered twice, nothing wrong; those whose ids are `failing` have failed, and no others."""
    failed: set[str] = set()
    answered: dict[str, Outcome] = {}
    for outcome in outcomes:
        assert outcome.paragraph.id not in answered, f"answered twice: {outcome.paragraph.id}"
        answered[outcome.paragraph.id] = outcome
        if isinstance(outcome, Failure):
            failed.add(outcome.paragraph.id)
        else:
            expected = expected_probabilities(outcome.paragraph.text)
            differences = (abs(one - other) for one, other in zip(outcome.probabilities, expected, strict=True))
            assert max(differences) <= TOLERANCE, f"wrong: {outcome.paragraph.id}"
    lost = [paragraph.id for paragraph in sent if paragraph.id not in answered]
    assert not lost, f"{len(lost)} lost, the first: {lost[:10]}"
    assert len(answered) == len(sent), "answered, but never sent"
    wrongly = failed ^ set(failing)
    assert not wrongly, f"{len(wrongly)} failed unduly, or did not fail: {[answered[key] for key in sorted(wrongly)[:5]]}"
