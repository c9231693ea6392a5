"""A scored folder to fill, and distributions over the emotions."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.unit.support.scored_folder import LABELS, Point, ScoredFolder


@pytest.fixture
def scored(tmp_path: Path) -> ScoredFolder:
    return ScoredFolder(tmp_path / "scored")


@pytest.fixture
def point() -> Point:
    """A distribution over the nine emotions with most of its mass on one."""

    def make(label: str, probability: float = 0.8, *, labels: Sequence[str] = LABELS) -> list[float]:
        rest = (1 - probability) / (len(labels) - 1)
        return [probability if name == label else rest for name in labels]

    return make
