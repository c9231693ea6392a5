"""Verification of exports: contract, tokenizer, graph, golden outputs and agreement with fp32."""

import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from undertone_model.data import Sample
from undertone_model.errors import VerificationError
from undertone_model.export import export
from undertone_model.goldens import Goldens
from undertone_model.sources import Source, from_adapters, from_checkpoint
from undertone_model.testing import tiny_checkpoint
from undertone_model.verification import TOLERANCE, newest_export, verify


def assert_refused(folder: Path, reason: str, goldens: Goldens | None = None) -> None:
    """Verification fails with one line that names the folder."""
    with pytest.raises(VerificationError, match=reason) as error:
        verify(folder, goldens)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def test_export_agrees_with_its_golden_outputs(exported: Path, tiny_goldens: Goldens) -> None:
    result = verify(exported, tiny_goldens)
    assert result.folder == exported
    assert result.golden_rows == len(tiny_goldens.input_ids)
    assert result.largest_difference < 1e-5


def test_golden_outputs_are_compared_after_calibration(
    tiny: Path, tiny_adapters: Path, tiny_goldens: Goldens, tmp_path: Path
) -> None:
    # The source has the weights of the golden outputs and the calibration of the adapters.
    source = from_adapters(str(tiny), "stories", tiny_adapters)
    plain = replace(source, checkpoint=from_checkpoint(tiny).checkpoint, weights_sha256=tiny_goldens.weights_sha256)
    result = verify(export(plain, tmp_path, "emotions"), tiny_goldens)
    assert result.contract.calibration.temperature == 1.5
    assert result.largest_difference < 1e-5


def test_export_is_verified_without_golden_outputs(exported: Path) -> None:
    assert verify(exported).golden_rows == 0


def test_changed_weights_are_refused(export_copy: Path, tiny_goldens: Goldens, tmp_path: Path) -> None:
    other = export(from_checkpoint(tiny_checkpoint(tmp_path / "other", seed=1)), tmp_path / "others", "tiny")
    shutil.rmtree(export_copy / "variables")
    shutil.copytree(other / "variables", export_copy / "variables")
    assert_refused(
        export_copy, r"a probability differs by \d\.\d+e-\d+ from the golden outputs \(allowed: 1e-04\)", tiny_goldens
    )


def test_golden_outputs_of_other_weights_are_refused(exported: Path, tiny_goldens: Goldens) -> None:
    other = replace(tiny_goldens, weights_sha256="ab" * 32)
    assert_refused(
        exported, r"the golden outputs belong to the weights abababababab…, but the weights of .* are \w{12}…", other
    )


def test_golden_outputs_with_another_number_of_labels_are_refused(exported: Path, tiny_goldens: Goldens) -> None:
    assert_refused(
        exported, r"shape \[9, 9\], but the golden outputs have \[9, 4\]", replace(tiny_goldens, logits=np.zeros((9, 4)))
    )


def test_a_source_with_other_labels_is_refused(exported: Path, tiny: Path) -> None:
    source = from_checkpoint(tiny)
    other = replace(source, checkpoint=replace(source.checkpoint, labels=tuple(reversed(source.checkpoint.labels))))
    with pytest.raises(VerificationError, match=r"the labels of .* are joy, .*, but those to compare are neutral, .*; export"):
        verify(exported, source=other)


def test_changed_tokenizer_is_refused(export_copy: Path) -> None:
    (export_copy / "tokenizer.json").write_text((export_copy / "tokenizer.json").read_text().replace('"letter"', '"lettre"'))
    assert_refused(export_copy, r"tokenizer\.json has the SHA-256 \w{64}, but the contract has \w{64}")


def test_damaged_tokenizer_is_refused(export_copy: Path, edit: Callable[..., None]) -> None:
    (export_copy / "tokenizer.json").write_text("{}")
    edit(export_copy / "contract.json", tokenizer_sha256=hashlib.sha256(b"{}").hexdigest())
    assert_refused(export_copy, r"tokenizer\.json is damaged")


@pytest.mark.parametrize("name", ["contract.json", "tokenizer.json"])
def test_error_names_a_missing_file(export_copy: Path, name: str) -> None:
    (export_copy / name).unlink()
    assert_refused(export_copy, re.escape(name))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("saved_model.pb", "SavedModel file does not exist"),
        ("variables/variables.index", "not a valid checkpoint"),
        ("variables/variables.data-00000-of-00001", "variables.data-00000-of-00001; No such file"),
    ],
)
def test_error_names_a_missing_file_of_the_graph(export_copy: Path, name: str, reason: str) -> None:
    (export_copy / name).unlink()
    assert_refused(export_copy, rf"cannot load saved_model\.pb or variables/: .*{reason}")


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"])
def test_error_names_a_truncated_file_of_the_graph(export_copy: Path, name: str) -> None:
    content = (export_copy / name).read_bytes()
    (export_copy / name).write_bytes(content[: len(content) // 2])
    assert_refused(export_copy, r"cannot load saved_model\.pb or variables/: (?!Graph execution error)\w+")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"version": "2"}, "has version 2, but its folder is 1"),
        ({"labels": []}, "must have labels, and each only once"),
        ({"labels": ["joy", "joy"]}, "must have labels, and each only once"),
        ({"labels": ["joy", "fear"]}, "has outputs .*-1, 9.*, expected .*-1, 2"),
        ({"max_tokens": 0}, "has max_tokens 0; the minimum is 8"),
        ({"max_tokens": 65}, "cannot run 2 x 65 tokens: Incompatible shapes"),
        ({"calibration": {"bias": [1, 2]}}, "has 2 numbers in calibration.bias for 9 labels"),
        (
            {"inputs": [{"name": "ids", "dtype": "int32", "shape": ["-1", "-1"]}]},
            "has inputs .*'ids'.*, expected .*'input_ids'",
        ),
        ({"outputs": None}, "has outputs {}, expected .*'probabilities'"),
        ({"label": "joy"}, "is damaged: .*no field named"),
        ({"version": "one"}, "is damaged"),
        ({"precision": "int4"}, "has precision 'int4', expected one of fp32, bf16"),
    ],
)
def test_incorrect_contract_is_refused(
    export_copy: Path, edit: Callable[..., None], fields: dict[str, Any], reason: str
) -> None:
    edit(export_copy / "contract.json", **fields)
    assert_refused(export_copy, reason)


def test_contract_of_another_graph_is_refused(export_copy: Path, edit: Callable[..., None]) -> None:
    outputs = [{"name": "probabilities", "dtype": "float32", "shape": ["-1", "2"]}]
    edit(export_copy / "contract.json", labels=["joy", "fear"], outputs=outputs)
    assert_refused(export_copy, r"the contract has outputs .*\(-1, 2\).*, but the graph has .*\(-1, 9\)")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_contract_must_be_json(export_copy: Path, content: bytes) -> None:
    (export_copy / "contract.json").write_bytes(content)
    assert_refused(export_copy, r"contract\.json is damaged")


def test_newest_version_is_found_at_each_level(tmp_path: Path) -> None:
    for version in (2, 10, 9):
        folder = tmp_path / "models" / "emotions" / str(version)
        folder.mkdir(parents=True)
        (folder / "contract.json").touch()
    partial = tmp_path / "models" / "emotions" / ".11.writing"
    partial.mkdir()
    (partial / "contract.json").touch()
    newest = tmp_path / "models" / "emotions" / "10"
    assert (
        newest_export(tmp_path / "models") == newest_export(tmp_path / "models" / "emotions") == newest_export(newest) == newest
    )


def test_several_models_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "1" / "contract.json").touch()
    with pytest.raises(VerificationError, match=r"contains several models; use one of .*one, .*two"):
        newest_export(tmp_path)


@pytest.mark.parametrize("name", ["", "missing"])
def test_error_names_a_folder_without_export(tmp_path: Path, name: str) -> None:
    with pytest.raises(VerificationError, match=r"contains no export; expected <name>/<version>/contract\.json"):
        newest_export(tmp_path / name)


def test_golden_outputs_agree_within_the_tolerance_of_bf16(
    smooth_source: Source, bf16_export: Path, sample: Sample, tiny_goldens: Goldens
) -> None:
    result = verify(bf16_export, tiny_goldens, smooth_source, sample)
    assert result.golden_rows == len(tiny_goldens.input_ids)
    assert 1e-5 < result.largest_difference < TOLERANCE["bf16"]
    assert result.agreement is not None
    assert (result.agreement.rows, result.agreement.label_flips) == (4, 0.0)


def test_export_with_weights_of_another_model_fails_the_gate(
    smooth_source: Source, bf16_export: Path, sample: Sample, tmp_path: Path
) -> None:
    """The contract and the shapes are correct, but the answers are not."""
    other = replace(from_checkpoint(tiny_checkpoint(tmp_path / "other", seed=1)), temperature=8.0)
    mixed = Path(shutil.copytree(bf16_export, tmp_path / "tiny" / "1"))
    shutil.rmtree(mixed / "variables")
    other_export = export(other, tmp_path / "others", "tiny", precision="bf16", sample=sample)
    shutil.copytree(other_export / "variables", mixed / "variables")
    verify(mixed)
    with pytest.raises(VerificationError, match=r"% of 4 texts of tales have a different .* is 0\.\d{4} \(allowed: 0\.02\)"):
        verify(mixed, None, smooth_source, sample)


def test_source_must_have_the_weights_of_the_export(smooth_source: Source, bf16_export: Path, sample: Sample) -> None:
    with pytest.raises(VerificationError, match=r"are \w{12}…, but those to compare are cdcdcdcdcdcd…; set --checkpoint"):
        verify(bf16_export, None, replace(smooth_source, weights_sha256="cd" * 32), sample)
