"""Exports: files, contract, versions and the gate for bf16."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax
from tensorflow_serving.apis import prediction_log_pb2
from undertone_model import encoder, gate, sources
from undertone_model.adapters import load_adapters, merge_adapters
from undertone_model.checkpoint import load_checkpoint
from undertone_model.data import Sample
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import ExportError, VerificationError
from undertone_model.export import export
from undertone_model.session import SavedModelSession


@pytest.fixture
def _no_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does not write the graph, which takes seconds, for tests of the folders only."""
    monkeypatch.setattr(tf.saved_model, "save", lambda _module, folder, **_: (Path(folder) / "saved_model.pb").touch())


def contract_of(folder: Path) -> dict[str, Any]:
    contract: dict[str, Any] = json.loads((folder / "contract.json").read_text())
    return contract


def test_export_has_the_files_of_server_and_sidecar(exported: Path) -> None:
    assert {path.name for path in exported.iterdir()} >= {"saved_model.pb", "variables", "tokenizer.json", "contract.json"}


@pytest.mark.usefixtures("_no_graph")
def test_tokenizer_of_an_export_says_what_special_tokens_in_a_text_are(tiny: Path, tmp_path: Path) -> None:
    source = sources.from_checkpoint(tiny)
    for name, special_tokens in (("text", True), ("control", False)):
        folder = export(source, tmp_path, name, special_tokens=name)  # type: ignore[arg-type]
        tokens = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
        assert {token["special"] for token in tokens} == {special_tokens}


def test_contract_describes_the_export(exported: Path, tiny: Path) -> None:
    contract = contract_of(exported)
    assert contract.pop("created_at").endswith("Z")
    assert contract.pop("producer").startswith("undertone-model ")
    assert contract == {
        "name": "tiny",
        "version": "1",
        "labels": list(EMOTIONS),
        "tokenizer_sha256": hashlib.sha256((exported / "tokenizer.json").read_bytes()).hexdigest(),
        "max_tokens": 64,
        "inputs": [
            {"name": "input_ids", "dtype": "int32", "shape": ["-1", "-1"]},
            {"name": "attention_mask", "dtype": "int32", "shape": ["-1", "-1"]},
        ],
        "outputs": [{"name": "probabilities", "dtype": "float32", "shape": ["-1", "9"]}],
        "precision": "fp32",
        "architecture": {
            "type": "bert",
            "layers": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "attention_heads": 4,
            "vocabulary_size": 112,
            "pooling": "cls",
            "encoder_parameters": str(2 * (4 * 32 * 32 + 2 * 32 * 64)),
        },
        "calibration": {"temperature": 1.0},
        "problem_type": "PROBLEM_TYPE_SINGLE_LABEL",
        "weights_sha256": hashlib.sha256((tiny / "model.safetensors").read_bytes()).hexdigest(),
    }


@pytest.mark.usefixtures("_no_graph")
def test_version_is_the_next_number_or_the_requested_one(tiny: Path, tmp_path: Path) -> None:
    source = sources.from_checkpoint(tiny)
    assert export(source, tmp_path, "m", version=9) == tmp_path / "m" / "9"
    assert export(source, tmp_path, "m", max_tokens=32) == tmp_path / "m" / "10"
    assert contract_of(tmp_path / "m" / "10")["version"] == "10"
    assert contract_of(tmp_path / "m" / "10")["max_tokens"] == 32
    with pytest.raises(ExportError, match=r"m/9 exists; use another --version"):
        export(source, tmp_path, "m", version=9)


@pytest.mark.parametrize("limit", [-1, 0, 7, 65])
def test_invalid_max_tokens_are_refused(tiny: Path, tmp_path: Path, limit: int) -> None:
    with pytest.raises(ExportError, match=rf"--max-tokens {limit} is invalid: use 8 to 64"):
        export(sources.from_checkpoint(tiny), tmp_path, "m", max_tokens=limit)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "../m", "a/b", ".hidden", "two words"])
def test_invalid_names_are_refused(tiny: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportError, match=r"--name .* is invalid"):
        export(sources.from_checkpoint(tiny), tmp_path, name)


def test_error_names_a_folder_that_cannot_be_written(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match=r"cannot write .*file/m/1: Not a directory"):
        export(sources.from_checkpoint(tiny), tmp_path / "file", "m")


@pytest.mark.parametrize(
    ("failure", "error"),
    [(KeyboardInterrupt(), KeyboardInterrupt), (tf.errors.ResourceExhaustedError(None, None, "disk full"), ExportError)],
)
def test_incomplete_export_is_never_visible_as_a_version(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, error: type[BaseException]
) -> None:
    names: list[str] = []

    def interrupted(_module: tf.Module, folder: str, **_: object) -> None:
        (Path(folder) / "saved_model.pb").write_bytes(b"half")
        names.extend(path.name for path in (tmp_path / "m").iterdir())
        raise failure

    monkeypatch.setattr(tf.saved_model, "save", interrupted)
    with pytest.raises(error):
        export(sources.from_checkpoint(tiny), tmp_path, "m")
    assert len(names) == 1
    assert not names[0].isdecimal()
    assert list((tmp_path / "m").iterdir()) == []


@pytest.mark.usefixtures("_no_graph")
def test_files_of_a_killed_export_are_replaced(tiny: Path, tmp_path: Path) -> None:
    partial = tmp_path / "m" / ".1.writing"
    partial.mkdir(parents=True)
    (partial / "old").touch()
    folder = export(sources.from_checkpoint(tiny), tmp_path, "m")
    assert folder == tmp_path / "m" / "1"
    assert not (folder / "old").exists()
    assert not partial.exists()


def test_our_model_is_the_base_with_adapters_and_calibration(tiny: Path, tiny_adapters: Path, tmp_path: Path) -> None:
    source = sources.from_adapters(str(tiny), "stories", tiny_adapters)
    folder = export(source, tmp_path, "emotions")
    contract, adapters, checkpoint = contract_of(folder), load_adapters(tiny_adapters), load_checkpoint(tiny)
    bias = np.array([0.0] * 8 + [-0.75])
    assert contract["calibration"] == {"temperature": 1.5, "bias": bias.tolist(), "prior": "stories"}
    assert contract["weights_sha256"] == adapters.sha256
    assert contract["training_data"] == [{"name": "stories/train", "license": "Apache-2.0", "rows": 7, "sha256": "ab" * 32}]
    assert contract["scores"] == [{"data": "stories/test@stories", "metric": "accuracy", "value": 0.5}]
    assert contract["windows"] == {"tokens": min(sources.WINDOW_TOKENS, contract["max_tokens"]), "neutral_label": "neutral"}

    ids = np.array([[1, 2, 3, 4, 5], [9, 8, 7, 0, 0]], np.int32)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32)
    logits = encoder.logits(merge_adapters(checkpoint.weights, adapters.tensors), checkpoint.architecture, ids, mask).numpy()
    with SavedModelSession(folder) as session:
        probabilities = session.run([[1, 2, 3, 4, 5], [9, 8, 7]])
    assert probabilities == pytest.approx(softmax((logits + bias) / 1.5, axis=1), abs=1e-5)


def test_export_contains_warmup_requests(exported: Path) -> None:
    path = exported / "assets.extra" / "tf_serving_warmup_requests"
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in tf.compat.v1.io.tf_record_iterator(str(path))]
    shapes = []
    for log in logs:
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in log.predict_log.request.inputs.items()}
        assert {name: array.dtype for name, array in inputs.items()} == {"input_ids": np.int32, "attention_mask": np.int32}
        assert inputs["input_ids"].shape == inputs["attention_mask"].shape
        shapes.append(inputs["input_ids"].shape)
    assert shapes == [(1, 16), (1, 64)]


def test_contract_has_precision_and_agreement(bf16_export: Path) -> None:
    contract = json.loads((bf16_export / "contract.json").read_text())
    assert contract["precision"] == "bf16"
    shift = contract["agreement"].pop("largest_shift")
    assert 0 < shift < 0.02
    # The JSON form of protocol buffers omits zeros, such as label_flips here.
    assert contract["agreement"] == {"sample": "tales", "sample_sha256": "ab" * 32, "rows": 4}


def test_export_that_fails_the_gate_is_not_written(
    tiny: Path, sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "MAX_SHIFT", 1e-9)
    with pytest.raises(
        VerificationError, match=r"m/1 does not agree with fp32: 0\.00% of 4 texts .*\(allowed: 1e-09\); use --precision fp32"
    ):
        export(sources.from_checkpoint(tiny), tmp_path, "m", precision="bf16", sample=sample)
    assert list((tmp_path / "m").iterdir()) == []


def test_export_in_bf16_needs_a_sample_unless_its_weights_are_random(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="an export in bf16 needs a sample"):
        export(sources.from_checkpoint(tiny), tmp_path, "m", precision="bf16")
    random = replace(sources.from_checkpoint(tiny), weights_sha256="")
    contract = json.loads((export(random, tmp_path, "m", precision="bf16") / "contract.json").read_text())
    assert contract["precision"] == "bf16"
    assert "agreement" not in contract
