"""Rows of a report are added only under the same conditions."""

from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from undertone_bench.cli import main
from undertone_bench.commands.fleet_model import fleet_model
from undertone_bench.commands.throughput import throughput
from undertone_bench.conditions import MACHINE, Conditions, current_conditions, read_continued
from undertone_bench.errors import BenchError
from undertone_sidecar.testing import write_version

from tests.unit.support.bench_reports import a_report

COMMANDS = {"throughput": throughput, "fleet-model": fleet_model}
REPORTS = {"throughput": "throughput-emotions-fp32", "fleet-model": "fleet-model-emotions-fp32-fake"}


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    write_version(tmp_path / "emotions", 1)
    texts = tmp_path / "texts.txt"
    texts.write_text("the rain had stopped\n\nshe laughed")
    return [f"--model={tmp_path / 'emotions'}", f"--texts={texts}", f"--output={tmp_path}"]


def conditions(name: str, arguments: list[str], *except_for: str) -> Conditions:
    """Those of a command line."""
    parent = click.Context(main, **main.context_settings)
    with COMMANDS[name].make_context(name, list(arguments), parent):
        return current_conditions(*except_for)


def written(folder: Path, name: str, found: Conditions) -> Path:
    """A report of a command with these conditions."""
    subject = REPORTS[name].removeprefix(f"{name}-")
    summary = replace(a_report().summary, benchmark=name, subject=subject)
    return replace(a_report(), summary=summary, conditions=found).write(folder)


@pytest.mark.parametrize(
    ("name", "option", "difference"),
    [
        ("throughput", "--budget=4096", "--budget 2048, not with --budget 4096"),
        ("throughput", "--paragraphs=64", "--paragraphs 1024, not with --paragraphs 64"),
        ("throughput", "--precision=fp32", "the default of --precision, not with --precision fp32"),
        ("throughput", "--sidecar-flag=--auto", "the default of --sidecar-flag, not with --sidecar-flag --auto"),
        ("fleet-model", "--seconds=50", "--seconds 40.0, not with --seconds 50.0"),
        ("fleet-model", "--calls=3", "--calls 2, not with --calls 3"),
    ],
)
def test_append_refuses_a_report_with_other_options(
    name: str, option: str, difference: str, arguments: list[str], tmp_path: Path
) -> None:
    path = written(tmp_path, name, conditions(name, arguments))
    refused = CliRunner().invoke(main, [name, *arguments, option, "--append"])
    assert refused.exit_code == 1, refused.output
    assert f"{path} has measurements with {difference}: use the same options, or measure again" in refused.output


@pytest.mark.parametrize("name", COMMANDS)
def test_append_without_a_report_is_refused(name: str, arguments: list[str], tmp_path: Path) -> None:
    refused = CliRunner().invoke(main, [name, *arguments, "--append"])
    assert refused.exit_code == 1
    assert f"{tmp_path / REPORTS[name]}.json does not exist: measure first, without --append" in refused.output


def test_other_variants_are_refused_before_the_measurement(arguments: list[str], tmp_path: Path) -> None:
    written(tmp_path, "throughput", conditions("throughput", arguments, "names", "rounds", "append"))
    refused = CliRunner().invoke(main, ["throughput", *arguments, "--variants=naive", "--append"])
    assert refused.exit_code == 1
    assert "the existing report has the variants" in refused.output


def test_a_report_with_the_same_conditions_is_continued(arguments: list[str], tmp_path: Path) -> None:
    found = conditions("throughput", arguments, "names", "rounds", "append")
    path = written(tmp_path, "throughput", found)
    more = conditions("throughput", [*arguments, "--rounds=9", "--variants=naive"], "names", "rounds", "append")
    assert read_continued(path, more).conditions == found


def test_the_machine_is_a_condition(arguments: list[str], tmp_path: Path) -> None:
    wanted = conditions("throughput", arguments)
    path = written(tmp_path, "throughput", {**wanted, MACHINE: "another CPU"})
    with pytest.raises(
        BenchError, match=r"with machine another CPU, not with machine .*: measure on the same machine, or measure again"
    ):
        read_continued(path, wanted)


def test_a_report_of_an_earlier_version_has_unknown_conditions(arguments: list[str], tmp_path: Path) -> None:
    path = written(tmp_path, "throughput", {})
    with pytest.raises(BenchError, match=r"has measurements with unknown --model, .*: measure again without --append$"):
        read_continued(path, conditions("throughput", arguments))


def test_other_options_on_another_machine_need_both(arguments: list[str], tmp_path: Path) -> None:
    wanted = conditions("throughput", arguments)
    path = written(tmp_path, "throughput", {**wanted, "--budget": 1, MACHINE: "another CPU"})
    with pytest.raises(BenchError, match="use the same options on the same machine, or measure again"):
        read_continued(path, wanted)
