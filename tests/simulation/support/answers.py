"""Distinct paragraphs, and a check that each has exactly one correct outcome."""

import random
from collections.abc import Iterable, Sequence
from typing import Final

from undertone_bench.commands.soak import TOLERANCE
from undertone_client import Failure, Outcome, Paragraph
from undertone_client.testing import expected_probabilities

_WORDS: Final = ("rain", "on", "the", "harbour", "she", "laughed", "a", "letter", "came", "too", "late", "again")


def paragraphs(count: int, *, longest: int = 40, seed: int = 0) -> list[Paragraph]:
    """Distinct paragraphs of 2 to `longest` words and their number, which is also the id."""
    choose = random.Random(seed)
    texts = (" ".join(choose.choices(_WORDS, k=choose.randint(2, longest))) for _ in range(count))
    return [Paragraph(f"{text} {number}", str(number)) for number, text in enumerate(texts)]


def assert_answered(sent: Sequence[Paragraph], outcomes: Iterable[Outcome], *, failing: Iterable[str] = ()) -> None:
    """Each paragraph has one outcome: a failure if its id is in `failing`, otherwise the correct
    score.
    """
    failed: set[str] = set()
    answered: dict[str, Outcome] = {}
    for outcome in outcomes:
        assert outcome.paragraph.id not in answered, f"second outcome of {outcome.paragraph.id}"
        answered[outcome.paragraph.id] = outcome
        if isinstance(outcome, Failure):
            failed.add(outcome.paragraph.id)
        else:
            expected = expected_probabilities(outcome.paragraph.text)
            differences = (abs(one - other) for one, other in zip(outcome.probabilities, expected, strict=True))
            assert max(differences) <= TOLERANCE, f"wrong score of {outcome.paragraph.id}"
    lost = [paragraph.id for paragraph in sent if paragraph.id not in answered]
    assert not lost, f"{len(lost)} paragraphs have no outcome, the first are {lost[:10]}"
    assert len(answered) == len(sent), "outcomes of paragraphs that were not sent"
    unexpected = failed ^ set(failing)
    assert not unexpected, (
        f"{len(unexpected)} paragraphs failed or succeeded unexpectedly: {[answered[key] for key in sorted(unexpected)[:5]]}"
    )
