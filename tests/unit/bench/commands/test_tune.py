import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from undertone_bench.cli import main
from undertone_bench.commands import tune
from undertone_bench.report import Report
from undertone_bench.tuning.pod_setup import PodSetup
from undertone_bench.tuning.trial import Trial
from undertone_sidecar.testing import write_version


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[PodSetup]:
    """The setups that were measured. 512 tokens are the best of all sizes."""
    setups: list[PodSetup] = []

    def measure(_experiment: object, setup: PodSetup, *_options: object) -> Trial:
        setups.append(setup)
        return Trial(setup, 1e5 / setup.batch_tokens)

    monkeypatch.setattr(tune, "measure", measure)
    return setups


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    write_version(tmp_path / "emotions", 1)
    texts = tmp_path / "texts.txt"
    texts.write_text("the rain had stopped\n\nshe laughed")
    options = {"model": tmp_path / "emotions", "texts": texts, "cpus": 1, "output": tmp_path, "onednn": "on"}
    return ["tune", *(f"--{name}={value}" for name, value in options.items())]


def test_grid_measures_all_setups_and_resume_none_of_them_again(
    measured: list[PodSetup], arguments: list[str], tmp_path: Path
) -> None:
    first = CliRunner().invoke(main, [*arguments, "--grid", "--batch-tokens=1024", "--batch-tokens=2048"])
    assert first.exit_code == 0, first.output
    assert [setup.batch_tokens for setup in measured] == [2048, 1024]
    second = CliRunner().invoke(main, [*arguments, "--grid", "--resume"])
    assert second.exit_code == 0, second.output
    assert sorted(setup.batch_tokens for setup in measured) == [512, 1024, 2048, 4096, 8192]
    # The search begins with the default, 2048, and continues with the setup farthest from it, 512.
    assert "trials that a search of the same setups needs to come within 5 % of the best: 2" in second.output
    assert len(Report.read(tmp_path / "tune-emotions-offline.json").samples) == 5


def test_only_requested_setups_are_chosen_and_reported(measured: list[PodSetup], arguments: list[str], tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    assert CliRunner().invoke(main, [*arguments, "--grid"]).exit_code == 0
    done = CliRunner().invoke(main, [*arguments, "--grid", "--resume", "--batch-tokens=4096", f"--write={path}"])
    assert done.exit_code == 0, done.output
    assert yaml.safe_load(path.read_text())["sidecar"]["settings"]["batch-tokens"] == 4096
    assert "1 of 1 setups were measured" in path.read_text()
    assert [one["setup"]["batch_tokens"] for one in Report.read(tmp_path / "tune-emotions-offline.json").samples] == [4096]
    again = CliRunner().invoke(main, [*arguments, "--grid", "--resume"])
    assert again.exit_code == 0, again.output
    assert len(Report.read(tmp_path / "tune-emotions-offline.json").samples) == len(measured) == 5


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ("offline", "no pod met the objective (offline): see the messages above, or increase --seconds"),
        ("server", "no pod met the objective (server, p99 at most 0.3 s): see the messages above, or use a larger --p99"),
    ],
)
def test_setups_that_all_fail_are_an_error_with_a_remedy(
    objective: str, message: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "measure", lambda _experiment, setup, *_options: Trial(setup, 0.0))
    failed = CliRunner().invoke(main, [*arguments, "--grid", "--batch-tokens=512", f"--objective={objective}"])
    assert failed.exit_code == 1
    assert message in failed.output


def test_an_interrupted_run_continues(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []

    def measure(_experiment: object, setup: PodSetup, *_options: object) -> Trial:
        measured.append(setup.batch_tokens)
        if len(measured) == 3:
            raise KeyboardInterrupt
        return Trial(setup, 1.0)

    monkeypatch.setattr(tune, "measure", measure)
    assert CliRunner().invoke(main, [*arguments, "--grid"]).exit_code == 130
    done = CliRunner().invoke(main, [*arguments, "--grid", "--resume"])
    assert done.exit_code == 0, done.output
    assert len(measured) == 6
    assert measured[2] == measured[3]
    refused = CliRunner().invoke(main, [*arguments, "--grid", "--resume", "--seconds=7"])
    assert refused.exit_code == 1
    assert "has trials with" in refused.output


def test_trials_beside_other_programs_are_repeated_and_the_least_disturbed_counts(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = iter((0.3, 0.2, 0.4, 0.0))

    def measure(_experiment: object, setup: PodSetup, *_options: object) -> Trial:
        other_cpus = next(others)
        return Trial(setup, 10 - other_cpus, other_cpus)

    monkeypatch.setattr(tune, "measure", measure)
    run = [*arguments, "--grid", "--batch-tokens=512", "--max-other-cpus=0.1"]
    done = CliRunner().invoke(main, run)
    assert done.exit_code == 0, done.output
    assert "other programs used 0.20 CPUs (median), and at most 0.20" in done.output
    assert [sample["rate"] for sample in Report.read(tmp_path / "tune-emotions-offline.json").samples] == [9.8]
    assert CliRunner().invoke(main, [*run, "--resume"]).exit_code == 0
    assert [sample["rate"] for sample in Report.read(tmp_path / "tune-emotions-offline.json").samples] == [10]


def test_the_best_setup_is_written_as_values_with_its_evidence(
    measured: list[PodSetup], arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "values.yaml"
    monkeypatch.setattr(sys, "argv", ["undertone-bench", "tune", "--cpus=1"])
    done = CliRunner().invoke(main, [*arguments, f"--write={path}"])
    assert done.exit_code == 0, done.output
    text = path.read_text()
    assert yaml.safe_load(text)["sidecar"]["settings"] == {"model-calls": 1, "batch-tokens": 512}
    assert "Objective: offline. 5 of 5 setups were measured" in text
    assert "195.31 paragraphs/s" in text
    assert text.startswith("# Settings of a pod by `undertone-bench tune --cpus=1`")
    again = CliRunner().invoke(main, [*arguments, f"--write={path}"])
    assert again.exit_code == 0, again.output


def test_more_calls_than_cpus_are_wrong_usage(arguments: list[str]) -> None:
    refused = CliRunner().invoke(main, [*arguments, "--calls=4"])
    assert refused.exit_code == 2
    assert "no setup is possible: use at most as many --calls as --cpus" in refused.output


def test_outputs_are_checked_before_the_first_trial(measured: list[PodSetup], arguments: list[str], tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    refused = CliRunner().invoke(main, [*arguments, f"--write={missing / 'values.yaml'}"])
    assert refused.exit_code == 2
    assert f"there is no folder {missing}: create it" in refused.output
    (tmp_path / "file").write_text("")
    refused = CliRunner().invoke(main, [*arguments, f"--output={tmp_path / 'file' / 'results'}"])
    assert refused.exit_code == 2
    assert "cannot be created: Not a directory. Name another folder" in refused.output
    refused = CliRunner().invoke(main, [*arguments, f"--write={tmp_path / 'file'}"])
    assert refused.exit_code == 2
    assert "exists and is not of undertone-bench tune: name a new file" in refused.output
    refused = CliRunner().invoke(main, [*arguments, "--resume"])
    assert refused.exit_code == 1
    assert "tune-emotions-offline.jsonl does not exist: measure first, without --resume" in refused.output
    assert not measured


def test_trials_of_another_bound_are_not_reused(measured: list[PodSetup], arguments: list[str], tmp_path: Path) -> None:
    server = [*arguments, "--objective=server", "--batch-tokens=512", "--grid"]
    assert CliRunner().invoke(main, [*server, "--p99=0.3"]).exit_code == 0
    assert CliRunner().invoke(main, [*server, "--p99=0.3", "--resume"]).exit_code == 0
    assert len(measured) == 1
    other = CliRunner().invoke(main, [*server, "--p99=1"])
    assert other.exit_code == 0
    assert len(measured) == 2
    assert {path.name for path in tmp_path.glob("tune-*.json")} == {
        "tune-emotions-server-0.3s.json",
        "tune-emotions-server-1s.json",
    }
