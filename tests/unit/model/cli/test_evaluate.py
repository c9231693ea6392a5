"""`undertone-model evaluate`: choice of sets and models, output and errors."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from undertone_model.__main__ import undertone_model
from undertone_model.startup import LOG_LEVEL


@pytest.fixture(autouse=True)
def _log_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps the command from changing this process, where TensorFlow is already imported."""
    monkeypatch.setenv(LOG_LEVEL, "2")


@pytest.fixture
def xed(tmp_path: Path) -> Path:
    path = tmp_path / "en-annotated.tsv"
    path.write_text("the rain\t1\nthe sea\t5\nher letter\t6,7\nthe door\t8\n")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(undertone_model, ["evaluate", *map(str, arguments)], prog_name="undertone-model")


def test_a_checkpoint_on_a_corpus_and_the_suites(tiny: Path, xed: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    options = ("--checkpoint", tiny, "--xed", xed, "--all-rows", "--sets", "xed,suites", "--markdown", "--json", file)
    result = run(*options)
    assert result.exit_code == 0, result.output
    assert "**xed (CC BY 4.0): 2 rows with one emotion; left out: 1 with several, 1 with none" in result.stdout
    assert "| tiny, checkpoint | " in result.stdout
    assert "| always neutral | " in result.stdout
    assert "packaged" not in result.stdout
    assert "texts" in result.stderr
    report = json.loads(file.read_text())
    assert [data["name"] for data in report["sets"]] == ["xed"]
    assert {row["suite"] for row in report["suites"]} == {"negation", "irony"}
    assert report["flips"] == []
    assert run(*options).stdout == result.stdout


def test_adapters_beside_an_export(tiny: Path, tiny_adapters: Path, exported: Path, xed: Path) -> None:
    models = ("--adapters", tiny_adapters, "--base", tiny, "--export", exported, "--export", exported)
    result = run(*models, "--xed", xed, "--all-rows", "--sets", "xed", "--rows", "xed=3", "--no-baselines", "--markdown")
    assert result.exit_code == 0, result.output
    names = [line.split(" | ")[0].removeprefix("| ") for line in result.stdout.splitlines() if line.startswith("| ")]
    adapters = [name for name in names if name.startswith(f"{tiny_adapters.name}, ")]
    assert f"{tiny_adapters.name}, uncalibrated" in adapters
    assert f"{tiny_adapters.name}, prior stories" in adapters
    assert "tiny, export 1" in names
    assert "tiny (2), export 1" in names
    assert "always neutral" not in names


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("'poems' is not a set; use some of stories, goemotions", ["--sets", "stories,poems"]),
        ("--sets 'reman' needs --reman PATH: reman-version1.0.xml", ["--sets", "reman"]),
        ("--sets 'robustness' needs one of the sets stories, reman, tales", ["--sets", "robustness"]),
        ("--sets 'documents' needs one of the sets stories, reman, tales", ["--sets", "documents"]),
        ("'xed=0' is invalid; use SET=N, such as xed=3000", ["--rows", "xed=0"]),
        ("'3000' is invalid; use SET=N", ["--rows", "3000"]),
        ("--rows xed=5 has no effect: xed is not evaluated", ["--rows", "xed=5"]),
        ("File 'none.tsv' does not exist", ["--xed", "none.tsv"]),
    ],
)
def test_usage_errors_name_the_value_and_the_remedy(message: str, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr.splitlines()[-1]


def test_other_errors_come_before_the_work(tiny: Path, tiny_adapters: Path, xed: Path, tmp_path: Path) -> None:
    adapters = ("--adapters", tiny_adapters, "--base", tiny)
    for message, arguments in (
        ("--prior 'poems' is invalid", (*adapters, "--prior", "poems")),
        ("the folder", (*adapters, "--json", tmp_path / "none" / "x.json")),
        ("contains no export", ("--export", tmp_path)),
        ("line 1: 1 columns; expected a sentence", (*adapters, "--xed", tiny / "config.json")),
    ):
        result = run(*arguments)
        assert result.exit_code == 1, result.output
        assert message in result.stderr.splitlines()[-1]
        assert result.stdout == ""
