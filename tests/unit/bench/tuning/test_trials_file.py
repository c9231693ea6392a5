from pathlib import Path

import pytest
from undertone_bench.errors import BenchError
from undertone_bench.tuning.pod_setup import PodSetup
from undertone_bench.tuning.trial import Trial
from undertone_bench.tuning.trials_file import TrialsFile

FIRST = Trial(PodSetup("fp32", 2, 2, 1), 10.5, 0.25)
SECOND = Trial(PodSetup("bf16", 2, 1, 2, 512, onednn=False, omp_threads=2), 20.0)


@pytest.fixture
def file(tmp_path: Path) -> TrialsFile:
    file = TrialsFile(tmp_path / "trials.jsonl", {"--seconds": 6.0})
    file.clear()
    file.append(FIRST)
    file.append(SECOND)
    return file


def test_trials_are_read_as_they_were_written(file: TrialsFile) -> None:
    assert list(file.read().values()) == [FIRST, SECOND]


def test_the_last_trial_of_a_setup_counts(file: TrialsFile) -> None:
    file.append(again := Trial(FIRST.setup, 12.0, 0.0))
    assert file.read()[FIRST.setup] == again


@pytest.mark.parametrize("length", [1, 20, 60])
def test_a_line_that_was_cut_off_is_ignored_and_replaced(file: TrialsFile, tmp_path: Path, length: int) -> None:
    path = tmp_path / "trials.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + lines[1][:length])
    assert list(file.read().values()) == [FIRST]
    file.append(SECOND)
    assert path.read_text().splitlines(keepends=True) == lines


def test_trials_with_other_conditions_are_refused(file: TrialsFile, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"has trials with --seconds 6\.0, not with --seconds 3\.0: use the same options"):
        TrialsFile(tmp_path / "trials.jsonl", {"--seconds": 3.0}).read()


def test_files_that_are_missing_or_wrong_are_refused(file: TrialsFile, tmp_path: Path) -> None:
    with (tmp_path / "trials.jsonl").open("a") as other:
        other.write('{"setup": {}}\n')
    with pytest.raises(BenchError, match="line 3 is not a trial"):
        file.read()
    with pytest.raises(BenchError, match="does not exist: measure first, without --resume"):
        TrialsFile(tmp_path / "missing.jsonl", {}).read()
