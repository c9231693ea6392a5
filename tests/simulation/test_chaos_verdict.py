"""What `bench/million.py` lets pass: a run that was not killed, or did not end well, proves nothing."""

import os
import sys
from dataclasses import replace

import pytest

from bench.million import Verdict, drive

SOUND = Verdict(paragraphs=10, scored=10, driver_kills=1, kills_asked=1)


def test_a_run_that_was_killed_as_asked_and_ended_well_is_sound() -> None:
    assert SOUND.sound
    assert replace(SOUND, driver_kills=0, kills_asked=0).sound


@pytest.mark.parametrize(
    "amiss",
    [{"lost": 1}, {"double": 1}, {"wrong": 1}, {"unscored": 1}, {"driver_kills": 0}, {"kills_asked": 0}, {"exit_code": 1}],
)
def test_anything_amiss_is_not_sound(amiss: dict[str, int]) -> None:
    assert not replace(SOUND, **amiss).sound


def test_a_program_that_outlasts_the_patience_is_killed_and_named() -> None:
    with pytest.raises(TimeoutError, match="--patience"):
        drive([sys.executable, "-c", "import time; time.sleep(600)"], dict(os.environ), patience_seconds=0.0)
