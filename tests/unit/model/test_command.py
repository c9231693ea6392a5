"""The command: its help, its way from texts to an export, and one line for a user's mistake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from undertone_model import adapters as adapter_files
from undertone_model import checkpoint as checkpoints
from undertone_model.cli.group import undertone_model
from undertone_model.cli.startup import LOG_LEVEL
from undertone_model.emotions import EMOTIONS, GOEMOTIONS

GOLDENS = Path(__file__).parent / "goldens" / "tiny.json"


@pytest.fixture(autouse=True)
def _as_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow is imported already, so there is nothing to keep quiet; nor shall the command change this process."""
    monkeypatch.setenv(LOG_LEVEL, "2")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(undertone_model, [str(argument) for argument in arguments], prog_name="undertone-model")


def fails(code: int, message: str, *arguments: object) -> None:
    found = run(*arguments)
    assert found.exit_code == code
    assert isinstance(found.exception, SystemExit)
    assert message in found.stderr.splitlines()[-1]
    assert found.stdout == ""


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comment and two stories' paragraphs of each emotion, in every split."""
    folder = tmp_path_factory.mktemp("corpora")
    for name in ("goemotions", "stories"):
        (folder / name).mkdir()
    labels = list(GOEMOTIONS)
    (folder / "goemotions" / "labels.txt").write_text("\n".join(labels))
    lines = [
        f"the {emotion} of rain\t{labels.index(emotion if emotion != 'anticipation' else 'desire')}\tx" for emotion in EMOTIONS
    ]
    for split in ("train", "dev", "test"):
        (folder / "goemotions" / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    rows = [
        {"id": f"sea/{emotion}/{number:02}", "emotion": emotion, "text": f"{emotion} at night {number}"}
        for emotion in EMOTIONS
        for number in (6, 7, 8, 9)
    ]
    (folder / "stories" / "sea.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.mark.parametrize("command", [[], ["export"], ["verify"], ["train"], ["evaluate"], ["merge"]])
def test_help_says_what_it_does(command: list[str]) -> None:
    found = run(*command, "--help")
    assert found.exit_code == 0
    assert found.stdout.startswith(f"Usage: undertone-model {' '.join([*command, '[OPTIONS]'])}")
    assert "..." not in found.stdout.replace("[ARGS]...", "")


def test_version_is_told() -> None:
    assert run("--version").stdout.startswith("undertone-model, version ")


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("No such command 'expert'", ["expert"]),
        ("Missing argument 'DIR'", ["export"]),
        ("No such option '--fast'", ["verify", "x", "--fast"]),
        ("exclude each other", ["export", "x", "--random", "minilm", "--checkpoint", "y"]),
        ("'bert-huge' is not one of 'minilm', 'bert-base', 'bert-large'", ["export", "x", "--random", "bert-huge"]),
        ("Invalid value for '--version': 0 is not in the range x>=1", ["export", "x", "--version", "0"]),
        ("Missing option '--goemotions'", ["train"]),
        ("Directory 'nowhere' does not exist", ["train", "--goemotions", "nowhere"]),
        ("Directory 'nowhere' does not exist", ["evaluate", "--goemotions", "nowhere"]),
        ("Invalid value for '--epochs'", ["train", "--goemotions", ".", "--epochs", "0"]),
    ],
)
def test_a_command_that_cannot_be_understood_ends_with_2(message: str, arguments: list[str]) -> None:
    fails(2, message, *arguments)


def test_a_users_mistake_ends_with_1_and_a_line(tiny: Path, tiny_adapters: Path, exported: Path, tmp_path: Path) -> None:
    fails(1, "config.json does not exist", "export", tmp_path, "--checkpoint", tmp_path / "none")
    fails(1, "--max-tokens 65 is not between 3 and 64", "export", tmp_path, "--checkpoint", tiny, "--max-tokens", 65)
    fails(1, "--name 'a/b' cannot name", "export", tmp_path, "--checkpoint", tiny, "--name", "a/b")
    fails(1, "exists; choose another --version", "export", exported.parents[1], "--checkpoint", tiny, "--version", 1)
    fails(1, "there is no prior 'poems'", "export", tmp_path, "--adapters", tiny_adapters, "--base", tiny, "--prior", "poems")
    fails(1, "is not the base that the adapters were trained on", "export", tmp_path, "--adapters", tiny_adapters)
    fails(1, "--base nonsense: no such folder", "merge", tmp_path, "--adapters", tiny_adapters, "--base", "nonsense")
    fails(1, "adapters.safetensors does not exist", "merge", tmp_path, "--adapters", tmp_path / "none")
    fails(1, "holds no contract.json", "verify", tmp_path)
    fails(1, "goldens.json does not exist", "verify", exported, "--goldens", tmp_path / "goldens.json")
    fails(1, "labels.txt does not exist", "train", "--goemotions", tmp_path, "--base", tiny)
    fails(1, "labels.txt does not exist", "evaluate", "--goemotions", tmp_path, "--adapters", tiny_adapters, "--base", tiny)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_is_exported_under_its_folders_name_and_verified(tiny: Path, tmp_path: Path) -> None:
    found = run("export", tmp_path, "--checkpoint", tiny, "--precision", "fp32")
    assert found.exit_code == 0, found.output
    assert found.stdout == f"{tmp_path / 'tiny' / '1'}\n"
    verified = run("verify", tmp_path, "--goldens", GOLDENS)
    assert verified.exit_code == 0, verified.output
    assert verified.stdout.splitlines()[0] == f"{tmp_path / 'tiny' / '1'}: tiny version 1, fp32, 9 labels"
    assert "9 reference outputs agree; largest difference of a probability " in verified.stdout


def test_texts_become_adapters_and_adapters_a_model(corpora: Path, tiny: Path, tmp_path: Path) -> None:
    sets = ("--goemotions", corpora / "goemotions", "--stories", corpora / "stories", "--base", tiny)
    out = tmp_path / "adapters"
    trained = run("train", *sets, "--out", out, "--epochs", 1, "--seed", 3)
    assert trained.exit_code == 0, trained.output
    assert f"{out}: 0." in trained.stdout
    assert "loss" in trained.stderr

    adapters = adapter_files.load(out)
    assert adapters.recipe["seed"] == 3
    assert adapters.recipe["epochs"] == 1
    assert adapters.priors.keys() == {"comments", "stories"}
    assert {(data.name, data.rows) for data in adapters.training_data} == {("goemotions/train", 9), ("stories/train", 9)}
    assert {score.data for score in adapters.scores} == {
        f"{data}/test@{prior}" for data in ("goemotions", "stories") for prior in ("none", "comments", "stories")
    }

    evaluated = run("evaluate", *sets, "--adapters", out)
    assert evaluated.exit_code == 0, evaluated.output
    assert evaluated.stdout in trained.stdout

    merged = run("merge", tmp_path / "merged", "--adapters", out, "--base", tiny)
    assert merged.exit_code == 0, merged.output
    assert checkpoints.load(tmp_path / "merged").labels == EMOTIONS

    exported = run("export", tmp_path / "models", *sets[4:], "--adapters", out, "--prior", "comments", "--precision", "fp32")
    assert exported.exit_code == 0, exported.output
    contract = json.loads((tmp_path / "models" / "emotions" / "1" / "contract.json").read_text())
    assert contract["labels"] == list(EMOTIONS)
    assert contract["calibration"]["prior"] == "comments"


def test_what_stories_are_worth_can_be_seen_by_not_learning_from_them(corpora: Path, tiny: Path, tmp_path: Path) -> None:
    sets = ("--goemotions", corpora / "goemotions", "--stories", corpora / "stories", "--base", tiny, "--epochs", 1)
    trained = run("train", *sets, "--without-stories", "--out", tmp_path / "adapters")
    assert trained.exit_code == 0, trained.output
    adapters = adapter_files.load(tmp_path / "adapters")
    assert [data.name for data in adapters.training_data] == ["goemotions/train"]
    assert adapters.priors.keys() == {"comments", "stories"}
    assert "stories/test@stories" in {score.data for score in adapters.scores}


def test_a_process_says_only_what_was_asked(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LOG_LEVEL)
    command = [
        sys.executable,
        "-m",
        "undertone_model",
        "export",
        str(tmp_path),
        "--checkpoint",
        str(tiny),
        "--precision",
        "fp32",
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, f"{tmp_path / 'tiny' / '1'}\n", "")
