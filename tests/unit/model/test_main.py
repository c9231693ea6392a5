"""The command: help, errors, and the way from texts to an export."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from undertone_model import bases
from undertone_model.__main__ import undertone_model
from undertone_model.adapters import load_adapters
from undertone_model.checkpoint import load_checkpoint
from undertone_model.data import load_stories
from undertone_model.emotions import EMOTIONS, GOEMOTIONS
from undertone_model.readings import READINGS, passage_key
from undertone_model.soft_labels import load_soft_labels
from undertone_model.startup import LOG_LEVEL

GOLDENS = Path(__file__).parent / "goldens" / "tiny.json"


@pytest.fixture(autouse=True)
def _log_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps the command from changing this process, where TensorFlow is already imported."""
    monkeypatch.setenv(LOG_LEVEL, "2")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(undertone_model, [str(argument) for argument in arguments], prog_name="undertone-model")


def assert_fails(code: int, message: str, *arguments: object) -> None:
    result = run(*arguments)
    assert result.exit_code == code
    assert isinstance(result.exception, SystemExit)
    assert message in result.stderr.splitlines()[-1]
    assert result.stdout == ""


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each split has a comment and one or two story paragraphs for each emotion."""
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
    (folder / "fiction").mkdir()
    for name in ("plain", "short"):
        paragraphs = [
            {"id": f"{name}/{number}", "emotions": {emotion: 1.0}, "text": f"{emotion} at {name} sea {number}"}
            for emotion in EMOTIONS
            for number in (7, 8, 9)
        ]
        (folder / "fiction" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in paragraphs))
    sentences = [
        f"1\tAuthor {number}\tA Book\t{emotion}\t{emotion} of rain {number}.\tIt was {emotion}.\n"
        for emotion in ("joy", "fear", "neutral")
        for number in range(20)
    ]
    (folder / "reman.tsv").write_text("id\tauthor\tbook\temotions\tsentence\tpassage\n" + "".join(sentences))
    subtitles = [f"{emotion}\tthe {emotion} line {number}\n" for emotion in ("joy", "fear", "neutral") for number in range(40)]
    (folder / "xed.tsv").write_text("emotions\ttext\n" + "".join(subtitles))
    return folder


@pytest.mark.parametrize(
    "command", [[], ["export"], ["verify"], ["thresholds"], ["train"], ["soft-labels"], ["evaluate"], ["merge"]]
)
def test_help_of_every_command(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: undertone-model {' '.join([*command, '[OPTIONS]'])}")
    assert "..." not in result.stdout.replace("[ARGS]...", "")


def test_version_is_printed() -> None:
    assert run("--version").stdout.startswith("undertone-model, version ")


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("No such command 'expert'", ["expert"]),
        ("Missing argument 'DIR'", ["export"]),
        ("No such option '--fast'", ["verify", "x", "--fast"]),
        ("exclude each other", ["export", "x", "--random", "minilm", "--checkpoint", "y"]),
        ("'bert-huge' is not one of 'minilm', 'bert-base', 'bert-large'", ["export", "x", "--random", "bert-huge"]),
        ("0 is not in the range x>=1", ["export", "x", "--version", "0"]),
        ("Missing option '--goemotions'", ["train"]),
        ("Directory 'nowhere' does not exist", ["train", "--goemotions", "nowhere"]),
        ("Directory 'nowhere' does not exist", ["evaluate", "--goemotions", "nowhere"]),
        ("Invalid value for '--epochs'", ["train", "--goemotions", ".", "--epochs", "0"]),
    ],
)
def test_usage_errors_exit_with_2(message: str, arguments: list[str]) -> None:
    assert_fails(2, message, *arguments)


def test_other_errors_are_one_line_and_exit_with_1(tiny: Path, tiny_adapters: Path, exported: Path, tmp_path: Path) -> None:
    assert_fails(1, "config.json does not exist", "export", tmp_path, "--checkpoint", tmp_path / "none")
    assert_fails(1, "--max-tokens 65 is invalid: use 8 to 64", "export", tmp_path, "--checkpoint", tiny, "--max-tokens", 65)
    assert_fails(1, "--name 'a/b' is invalid", "export", tmp_path, "--checkpoint", tiny, "--name", "a/b")
    assert_fails(1, "exists; use another --version", "export", exported.parents[1], "--checkpoint", tiny, "--version", 1)
    assert_fails(
        1, "--prior 'poems' is invalid", "export", tmp_path, "--adapters", tiny_adapters, "--base", tiny, "--prior", "poems"
    )
    assert_fails(1, "the adapters were not trained on", "export", tmp_path, "--adapters", tiny_adapters)
    assert_fails(1, "--base 'nonsense' is invalid", "merge", tmp_path, "--adapters", tiny_adapters, "--base", "nonsense")
    assert_fails(1, "adapters.safetensors does not exist", "merge", tmp_path, "--adapters", tmp_path / "none")
    assert_fails(1, "contains no export", "verify", tmp_path)
    assert_fails(1, "goldens.json does not exist", "verify", exported, "--goldens", tmp_path / "goldens.json")
    assert_fails(1, "labels.txt does not exist", "train", "--goemotions", tmp_path, "--base", tiny, "--first-stage-only")
    assert_fails(2, "needs --fiction (it is in model/data/fiction)", "train", "--goemotions", tmp_path, "--base", tiny)
    assert_fails(
        2, "model/CARD.md says where to download it", "train", "--goemotions", tmp_path, "--fiction", tmp_path, "--base", tiny
    )
    assert_fails(
        2,
        "--start-from omits the first stage",
        "train",
        "--goemotions",
        tmp_path,
        "--start-from",
        tmp_path,
        "--first-stage-only",
    )
    unused = "train", "--goemotions", tmp_path, "--fiction", tmp_path, "--first-stage-only"
    assert_fails(2, "--fiction has no effect in the first stage: omit it, or --first-stage-only", *unused)
    assert_fails(2, "--lexicon has no effect with --no-baselines", "evaluate", "--no-baselines", "--lexicon", __file__)
    assert_fails(2, "--prior has no effect with --export", "evaluate", "--export", exported, "--prior", "novels")
    assert_fails(2, "--base has no effect with --random", "export", tmp_path, "--random", "minilm", "--base", tiny)
    assert_fails(2, "--large has no effect with --random", "export", tmp_path, "--random", "minilm", "--large")
    assert_fails(2, "--base has no effect with --checkpoint", "verify", exported, "--checkpoint", tmp_path, "--base", tiny)
    assert_fails(2, "--large has one stage", "train", "--goemotions", tmp_path, "--large", "--first-stage-only")
    assert_fails(2, "--large needs --fiction (it is in", "train", "--goemotions", tmp_path, "--large")
    assert_fails(2, "omit one of them", "train", "--goemotions", tmp_path, "--large", "--soft-labels", __file__)
    assert_fails(2, "add --novels", "train", "--goemotions", tmp_path, "--soft-labels", __file__)
    assert_fails(
        1, "labels.txt does not exist", "evaluate", "--goemotions", tmp_path, "--adapters", tiny_adapters, "--base", tiny
    )
    assert list(tmp_path.iterdir()) == []


def test_checkpoint_is_exported_with_the_name_of_its_folder_and_verified(tiny: Path, tmp_path: Path) -> None:
    result = run("export", tmp_path, "--checkpoint", tiny, "--precision", "fp32")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'tiny' / '1'}\n"
    verified = run("verify", tmp_path, "--goldens", GOLDENS)
    assert verified.exit_code == 0, verified.output
    assert verified.stdout.splitlines()[0] == f"{tmp_path / 'tiny' / '1'}: tiny version 1, fp32, single-label, 9 labels"
    assert "9 golden outputs agree; the largest difference of a probability is " in verified.stdout


def test_train_evaluate_merge_and_export(corpora: Path, tiny: Path, tmp_path: Path) -> None:
    sets = ("--goemotions", corpora / "goemotions", "--stories", corpora / "stories", "--base", tiny)
    novels = ("--reman", corpora / "reman.tsv", "--xed", corpora / "xed.tsv")
    out = tmp_path / "adapters"
    trained = run("train", *sets, *novels, "--fiction", corpora / "fiction", "--out", out, "--epochs", 1, "--seed", 3)
    assert trained.exit_code == 0, trained.output
    assert f"{out}: 0." in trained.stdout
    assert "loss" in trained.stderr

    adapters = load_adapters(out)
    assert [adapters.recipe[name] for name in ("seed", "epochs", "second_stage.seed", "second_stage.epochs")] == [3, 1, 3, 1]
    assert adapters.priors.keys() == {"comments", "stories", "novels"}
    rows = {data.name.removesuffix("/train"): data.rows for data in adapters.training_data}
    assert rows.keys() == {"goemotions", "stories", "fiction", "short texts", "reman", "reman passages", "xed"}
    assert (rows["goemotions"], rows["stories"], rows["fiction"], rows["short texts"]) == (9, 9, 9, 9)
    assert {score.data for score in adapters.scores} == {
        f"{data}/test@{prior}"
        for data in rows.keys() - {"reman passages"}
        for prior in ("none", "comments", "stories", "novels")
    }

    evaluated = run("evaluate", *sets, *novels, "--adapters", out, "--sets", "stories,goemotions,reman", "--markdown")
    assert evaluated.exit_code == 0, evaluated.output
    for data in ("stories", "goemotions"):
        (score,) = (score for score in adapters.scores if (score.data, score.metric) == (f"{data}/test@stories", "macro_f1"))
        macro_f1 = f"{score.value:.3f}".removeprefix("0")
        assert re.search(
            rf"\*\*{data} [^*]*\*\*[^*]*\| adapters, prior stories \| \S+ \| {re.escape(macro_f1)} ", evaluated.stdout
        )
    assert "| TF-IDF + logistic regression | " in evaluated.stdout

    merged = run("merge", tmp_path / "merged", "--adapters", out, "--base", tiny)
    assert merged.exit_code == 0, merged.output
    checkpoint = load_checkpoint(tmp_path / "merged", classifier=True)
    assert (checkpoint.labels, checkpoint.problem_type) == (EMOTIONS, "single-label")

    exported = run("export", tmp_path / "models", *sets[4:], "--adapters", out, "--prior", "comments", "--precision", "fp32")
    assert exported.exit_code == 0, exported.output
    contract = json.loads((tmp_path / "models" / "emotions" / "1" / "contract.json").read_text())
    assert contract["labels"] == list(EMOTIONS)
    assert contract["calibration"]["prior"] == "comments"


def test_second_stage_starts_from_adapters(corpora: Path, tiny: Path, tmp_path: Path) -> None:
    sets = ("--goemotions", corpora / "goemotions", "--stories", corpora / "stories", "--base", tiny, "--epochs", 1)
    first, second = tmp_path / "first", tmp_path / "second"
    trained = run("train", *sets, "--without-stories", "--out", first)
    assert trained.exit_code == 0, trained.output
    start = load_adapters(first)
    assert [data.name for data in start.training_data] == ["goemotions/train"]
    assert start.priors.keys() == {"comments", "stories"}
    assert "stories/test@stories" in {score.data for score in start.scores}

    novels = ("--reman", corpora / "reman.tsv", "--xed", corpora / "xed.tsv", "--fiction", corpora / "fiction")
    continued = run("train", *sets, *novels, "--start-from", first, "--out", second)
    assert continued.exit_code == 0, continued.output
    adapters = load_adapters(second)
    assert adapters.recipe.items() > start.recipe.items()
    assert adapters.tensors.keys() == start.tensors.keys()
    # At a low learning rate, one epoch moves the weights only a little.
    moved = max(np.abs(adapters.tensors[name] - start.tensors[name]).max() for name in start.tensors)
    assert 0 < moved < 0.1


def write_readings(fiction: Path, texts: list[str]) -> Path:
    """Readings of `texts`, with the splits train, dev and test in turn, and their novel."""
    splits = ("train", "dev", "test")
    rows = [
        {"passage": passage_key(text), "source": "novel", "split": splits[number % 3], "emotions": {"joy": 0.7, "love": 0.3}}
        for number, text in enumerate(texts)
    ]
    path = fiction / READINGS
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    novel = fiction.parent / "novel.txt"
    novel.write_text("".join(f"{text}\n" for text in texts))
    return novel


def test_readings_and_answers_of_a_teacher_train_a_third_stage(
    corpora: Path, tiny: Path, tiny_adapters: Path, tmp_path: Path
) -> None:
    fiction = Path(shutil.copytree(corpora / "fiction", tmp_path / "fiction"))
    novel = write_readings(fiction, ["The sea was calm.", "A letter came.", "The night was not."])
    texts = ("--stories", corpora / "stories", "--fiction", fiction)
    novels = ("--reman", corpora / "reman.tsv", "--xed", corpora / "xed.tsv")
    soft = tmp_path / "soft.jsonl"
    teacher = ("--adapters", tiny_adapters, "--base", tiny, "--out", soft)
    answered = run("soft-labels", *texts, *novels, "--texts", novel, *teacher)
    assert answered.exit_code == 0, answered.output
    assert answered.stdout == f"{soft}\n"
    dataset = load_soft_labels(soft)
    held_out = {example.text for split in ("dev", "test") for example in load_stories(corpora / "stories", split).examples}
    chosen = {example.text for example in dataset.examples}
    assert "A letter came." in chosen
    assert "joy at night 6" in chosen
    assert not chosen & held_out

    sets = ("--goemotions", corpora / "goemotions", *texts, *novels, "--base", tiny, "--epochs", 1)
    third = ("--novels", novel, "--soft-labels", soft)
    trained = run("train", *sets, *third, "--out", tmp_path / "out")
    assert trained.exit_code == 0, trained.output
    adapters = load_adapters(tmp_path / "out")
    assert [adapters.recipe[f"{stage}.readings"] for stage in ("second_stage", "third_stage")] == [0.0, 1.0]
    assert [(data.name, data.rows) for data in adapters.training_data[-2:]] == [
        ("readings/train", 1),
        ("soft labels/train", len(dataset.examples)),
    ]
    assert ("readings/test@novels", "rows", 1) in {(score.data, score.metric, score.value) for score in adapters.scores}
    assert not (tmp_path / "out" / "stages").exists()

    (tmp_path / "other.txt").write_text("It rained.\n")
    assert_fails(
        1, "3 of 3 passages of 'novel' in ", "train", *sets, "--novels", tmp_path / "other.txt", "--out", tmp_path / "none"
    )


def test_large_model_is_trained_exported_and_verified(corpora: Path, tiny: Path, tmp_path: Path) -> None:
    fiction = Path(shutil.copytree(corpora / "fiction", tmp_path / "fiction"))
    novel = write_readings(fiction, ["The sea was calm.", "A letter came.", "The night was not."])
    sets = ("--goemotions", corpora / "goemotions", "--stories", corpora / "stories", "--fiction", fiction)
    novels = ("--reman", corpora / "reman.tsv", "--xed", corpora / "xed.tsv", "--novels", novel)
    trained = run("train", "--large", *sets, *novels, "--base", tiny, "--epochs", 1, "--out", tmp_path / "large")
    assert trained.exit_code == 0, trained.output
    adapters = load_adapters(tmp_path / "large")
    assert adapters.recipe.items() >= {"epochs": 1, "layers": 5}.items()
    assert adapters.default_prior == "novels"
    # Readings calibrate only.
    assert "readings/train" not in {data.name for data in adapters.training_data}
    assert len(adapters.training_data) == 7
    assert "readings/test@novels" in {score.data for score in adapters.scores}
    # Training is an hour of work, so the adapters are saved before they are evaluated.
    saved = load_adapters(tmp_path / "large" / "checkpoint")
    assert (saved.sha256, saved.scores) == (adapters.sha256, ())

    model = ("--large", "--adapters", tmp_path / "large", "--base", tiny)
    exported = run("export", tmp_path, *model, "--precision", "fp32")
    assert exported.stdout == f"{tmp_path / 'emotions-large' / '1'}\n", exported.output
    (tmp_path / "sample.txt").write_text("joy at night\n")
    verified = run("verify", tmp_path / "emotions-large", *model, "--sample", tmp_path / "sample.txt")
    assert verified.exit_code == 0, verified.output


def test_large_replaces_the_default_adapters_and_base(
    tiny_adapters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(bases, "_LARGE_PARTS", ("no-such-part-001",))
    monkeypatch.setattr("undertone_model.cli.options.LARGE_ADAPTERS", tmp_path / "none")
    for command in (("merge", tmp_path), ("export", tmp_path), ("evaluate",)):
        assert_fails(1, f"{tmp_path / 'none' / 'adapters.safetensors'} does not exist", *command, "--large")
        assert_fails(1, "no-such-part-001 is not installed", *command, "--large", "--adapters", tiny_adapters)


def test_process_prints_only_the_result(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LOG_LEVEL)
    options = ("--checkpoint", str(tiny), "--precision", "fp32")
    command = [sys.executable, "-m", "undertone_model", "export", str(tmp_path), *options]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (0, f"{tmp_path / 'tiny' / '1'}\n", "")
