import os
import sys
from dataclasses import replace

import pytest
from undertone_bench.commands.soak import SoakResult, run_program
from undertone_bench.errors import BenchError

PASSED = SoakResult(paragraphs=10, scored=10, score_kills=1, planned_score_kills=1)


def test_a_run_with_its_planned_kills_and_all_scores_passes() -> None:
    assert PASSED.passed
    assert replace(PASSED, score_kills=0, planned_score_kills=0).passed


@pytest.mark.parametrize(
    "defect",
    [
        {"lost": 1},
        {"duplicates": 1},
        {"wrong": 1},
        {"failed": 1},
        {"score_kills": 0},
        {"planned_score_kills": 0},
        {"exit_code": 1},
    ],
)
def test_a_run_with_any_defect_fails(defect: dict[str, int]) -> None:
    assert not replace(PASSED, **defect).passed


def test_a_program_over_its_time_limit_is_killed_and_the_error_names_the_option() -> None:
    with pytest.raises(BenchError, match="--time-limit"):
        run_program([sys.executable, "-c", "import time; time.sleep(600)"], dict(os.environ), time_limit=0.0)
