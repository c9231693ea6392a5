"""A multi-label model from its checkpoint to its verified export."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner, Result
from scipy.special import expit
from undertone_model import encoder
from undertone_model.__main__ import undertone_model
from undertone_model.batches import encode
from undertone_model.contract import read_contract
from undertone_model.data import Sample
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import VerificationError
from undertone_model.goldens import Goldens
from undertone_model.serving import ServingGraph, calibrated_weights
from undertone_model.session import SavedModelSession
from undertone_model.sources import from_checkpoint
from undertone_model.startup import LOG_LEVEL
from undertone_model.testing import tiny_checkpoint, tiny_tokenizer
from undertone_model.verification import verify

ROWS = ([2, 9, 3], [2, *range(4, 60), 3], [2, 20, 21, 22, 3])


def run(*arguments: object) -> Result:
    return CliRunner().invoke(undertone_model, [str(argument) for argument in arguments], prog_name="undertone-model")


@pytest.fixture(autouse=True)
def _log_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOG_LEVEL, "2")


def test_answers_of_the_export_are_sigmoids_of_the_logits(multi_label_export: Path, tiny: Path) -> None:
    checkpoint = from_checkpoint(tiny).checkpoint
    with SavedModelSession(multi_label_export) as session:
        answers = session.run(ROWS)
    for row, answer in zip(ROWS, answers, strict=True):
        ids = tf.constant([row], tf.int32)
        logits = encoder.logits(checkpoint.weights, checkpoint.architecture, ids, tf.ones_like(ids)).numpy()
        np.testing.assert_allclose(answer, expit(logits[0].astype(np.float64)), atol=1e-5)
    assert not np.allclose(answers.sum(axis=1), 1.0, atol=0.1)


def test_calibration_applies_before_the_sigmoid(tiny: Path) -> None:
    source = replace(from_checkpoint(tiny), problem_type="multi-label", temperature=2.5, bias=tuple(np.linspace(-1, 1, 9)))
    architecture = source.checkpoint.architecture
    ids = tf.constant([ROWS[2]], tf.int32)
    graph = ServingGraph(calibrated_weights(source), architecture, problem_type="multi-label")
    logits = encoder.logits(source.checkpoint.weights, architecture, ids, tf.ones_like(ids)).numpy()
    np.testing.assert_allclose(graph(ids, tf.ones_like(ids)).numpy(), expit((logits + source.bias) / 2.5), atol=1e-5)


def test_export_agrees_with_golden_logits(multi_label_export: Path, tiny_goldens: Goldens) -> None:
    result = verify(multi_label_export, tiny_goldens)
    assert result.golden_rows == 9
    assert result.largest_difference < 1e-4


def test_softmax_does_not_pass_as_multi_label(export_copy: Path, tiny_goldens: Goldens, edit: Callable[..., None]) -> None:
    edit(export_copy / "contract.json", problem_type="PROBLEM_TYPE_MULTI_LABEL", thresholds=[0.5] * 9)
    with pytest.raises(VerificationError, match=r"differs by .* from the golden outputs"):
        verify(export_copy, tiny_goldens)


def test_sigmoids_do_not_pass_as_single_label(multi_label_export: Path, tmp_path: Path, edit: Callable[..., None]) -> None:
    copy = Path(shutil.copytree(multi_label_export, tmp_path / "emotions" / "1"))
    edit(copy / "contract.json", problem_type="PROBLEM_TYPE_SINGLE_LABEL", thresholds=None)
    with pytest.raises(VerificationError, match="does not return distributions"):
        verify(copy)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"thresholds": [0.5] * 8}, "has 8 thresholds; a multi-label model with 9 labels has 9"),
        ({"thresholds": None}, "has 0 thresholds; a multi-label model with 9 labels has 9"),
        ({"thresholds": [0.5] * 8 + [1.0]}, "has the threshold 1.0 for 'neutral', expected a number between 0 and 1"),
        ({"problem_type": None}, "has 9 thresholds; a single-label model with 9 labels has 0"),
        ({"problem_type": 7}, "has the unknown problem_type 7; update undertone-model"),
    ],
)
def test_contract_with_invalid_thresholds_is_refused(
    multi_label_export: Path, tmp_path: Path, edit: Callable[..., None], fields: dict[str, object], reason: str
) -> None:
    folder = tmp_path / "1"
    folder.mkdir()
    (folder / "contract.json").write_bytes((multi_label_export / "contract.json").read_bytes())
    edit(folder / "contract.json", **fields)
    with pytest.raises(VerificationError) as error:
        read_contract(folder)
    assert reason in str(error.value)


def test_commands_export_and_verify_a_multi_label_model(tmp_path: Path, sample: Sample) -> None:
    checkpoint = tiny_checkpoint(tmp_path / "mine", labels=EMOTIONS[:3], problem_type=None)
    (tmp_path / "thresholds.json").write_text(json.dumps({EMOTIONS[1]: 0.25}))
    (tmp_path / "texts.txt").write_text("\n".join(sample.texts))
    options = ("--checkpoint", checkpoint, "--problem-type", "multi-label", "--thresholds", tmp_path / "thresholds.json")
    exported = run("export", tmp_path / "models", *options, "--threshold", 0.75, "--precision", "fp32")
    assert exported.exit_code == 0, exported.output
    contract = json.loads((tmp_path / "models/mine/1/contract.json").read_text())
    assert contract["problem_type"] == "PROBLEM_TYPE_MULTI_LABEL"
    assert contract["thresholds"] == [0.75, 0.25, 0.75]

    verified = run("verify", tmp_path / "models", "--checkpoint", checkpoint, "--sample", tmp_path / "texts.txt")
    assert verified.exit_code == 0, verified.output
    lines = verified.stdout.splitlines()
    assert lines[0].endswith("mine version 1, fp32, multi-label, 3 labels")
    assert lines[1] == f"thresholds: {EMOTIONS[0]} 0.75, {EMOTIONS[1]} 0.25, {EMOTIONS[2]} 0.75"
    assert "0.00% of 4 texts of texts.txt have different labels than in fp32" in lines[-1]


def test_multi_label_model_with_one_label(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(tmp_path / "toxic", labels=["toxic"], problem_type=None)
    refused = run("export", tmp_path / "models", "--checkpoint", checkpoint, "--precision", "fp32")
    assert refused.exit_code == 1
    assert "set --problem-type multi-label" in refused.stderr
    options = ("--checkpoint", checkpoint, "--problem-type", "multi-label", "--precision", "fp32")
    assert run("export", tmp_path / "models", *options).exit_code == 0
    with SavedModelSession(tmp_path / "models/toxic/1") as session:
        answers = session.run(ROWS)
    assert answers.shape == (3, 1)
    assert len(set(answers.ravel().tolist())) == 3


def test_export_notes_an_absent_problem_type(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(tmp_path / "mine", problem_type=None)
    result = run("export", tmp_path / "models", "--checkpoint", checkpoint, "--precision", "fp32")
    assert result.exit_code == 0, result.output
    assert f"{checkpoint / 'config.json'} has no problem_type. The export is single-label" in result.stderr


@pytest.mark.parametrize("options", [("--threshold", 0.4), ("--thresholds", "thresholds.json")])
def test_thresholds_of_a_single_label_model_are_refused(tiny: Path, tmp_path: Path, options: tuple[object, ...]) -> None:
    result = run("export", tmp_path, "--checkpoint", tiny, *options)
    assert result.exit_code == 1
    assert "--threshold and --thresholds need a multi-label model" in result.stderr


@pytest.mark.parametrize("options", [("--threshold", 0.4), ("--problem-type", "multi-label")])
def test_problem_type_and_thresholds_need_a_checkpoint(tmp_path: Path, options: tuple[object, ...]) -> None:
    result = run("export", tmp_path, *options)
    assert result.exit_code == 2
    assert "--problem-type, --threshold and --thresholds need --checkpoint" in result.stderr


def test_fitted_thresholds_are_those_of_export(multi_label_export: Path, sample: Sample, tmp_path: Path) -> None:
    # The labels of the texts are those that the model answers with the thresholds of the export.
    contract = read_contract(multi_label_export)
    ids = encode(tiny_tokenizer(), sample.texts, contract.max_tokens)
    with SavedModelSession(multi_label_export) as session:
        answers = session.run(ids)
    above = answers >= np.array(contract.thresholds)
    rows = [
        {"text": text, "labels": [label for label, has in zip(contract.labels, row, strict=True) if has]}
        for text, row in zip(sample.texts, above, strict=True)
    ]
    (tmp_path / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    fitted = run("thresholds", multi_label_export, tmp_path / "dev.jsonl")
    assert fitted.exit_code == 0, fitted.output
    thresholds = json.loads(fitted.stdout)
    occur = np.asarray(above.any(axis=0))
    assert (answers >= [thresholds[label] for label in contract.labels])[:, occur].tolist() == above[:, occur].tolist()
    assert [
        label for label, found in zip(contract.labels, occur.tolist(), strict=True) if not found and thresholds[label] != 0.5
    ] == []
    assert "Fit to 4 texts" in fitted.stderr


def test_thresholds_are_fitted_to_multi_label_models_only(exported: Path, tmp_path: Path) -> None:
    result = run("thresholds", exported, tmp_path / "dev.jsonl")
    assert result.exit_code == 1
    assert "is single-label: it has no thresholds" in result.stderr
