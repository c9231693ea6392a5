"""Verification passes what is right, and names what is not."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from undertone_model import goldens as golden_files
from undertone_model import verify
from undertone_model.errors import VerificationError
from undertone_model.export import export
from undertone_model.goldens import Goldens
from undertone_model.sources import from_adapters, from_folder
from undertone_model.testing import tiny_checkpoint


def refused(folder: Path, reason: str, goldens: Goldens | None = None) -> None:
    with pytest.raises(VerificationError, match=reason) as raised:
        verify.verify(folder, goldens)
    assert str(folder) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_export_agrees_with_its_reference(exported: Path, tiny_goldens: Goldens) -> None:
    found = verify.verify(exported, tiny_goldens)
    assert found.folder == exported
    assert found.rows == len(tiny_goldens.input_ids)
    assert found.largest_difference < 1e-5


def test_the_reference_is_compared_after_calibration(
    tiny: Path, tiny_adapters: Path, tiny_goldens: Goldens, tmp_path: Path
) -> None:
    # The weights of the goldens with the calibration of the adapters.
    source = from_adapters(str(tiny), "stories", tiny_adapters)
    plain = replace(source, checkpoint=from_folder(tiny).checkpoint, weights_sha256=tiny_goldens.weights_sha256)
    found = verify.verify(export(plain, tmp_path, "emotions"), tiny_goldens)
    assert found.contract.calibration.temperature == 1.5
    assert found.largest_difference < 1e-5


def test_without_a_reference_the_form_is_checked(exported: Path) -> None:
    assert verify.verify(exported).rows == 0


def test_tampered_weights_disagree(export_copy: Path, tiny_goldens: Goldens, tmp_path: Path) -> None:
    other = export(from_folder(tiny_checkpoint(tmp_path / "other", seed=1)), tmp_path / "others", "tiny")
    shutil.rmtree(export_copy / "variables")
    shutil.copytree(other / "variables", export_copy / "variables")
    refused(export_copy, r"a probability differs by \d\.\d+e-\d+ from the reference, more than 1e-04", tiny_goldens)


def test_goldens_of_other_weights_are_refused(exported: Path, tiny_goldens: Goldens) -> None:
    other = replace(tiny_goldens, weights_sha256="ab" * 32)
    refused(exported, r"the goldens belong to the weights abababababab…, .* was made from \w{12}…", other)


def test_goldens_of_another_number_of_labels_are_refused(exported: Path, tiny_goldens: Goldens) -> None:
    refused(exported, r"answers \[9, 9\] numbers, the goldens have \[9, 4\]", replace(tiny_goldens, logits=np.zeros((9, 4))))


def test_another_tokenizer_is_refused(export_copy: Path) -> None:
    (export_copy / "tokenizer.json").write_text((export_copy / "tokenizer.json").read_text().replace('"letter"', '"lettre"'))
    refused(export_copy, r"tokenizer\.json has the SHA-256 \w{64}, the contract says \w{64}")


def test_a_damaged_tokenizer_is_refused(export_copy: Path, edit: Callable[..., None]) -> None:
    (export_copy / "tokenizer.json").write_text("{}")
    edit(export_copy / "contract.json", tokenizer_sha256=hashlib.sha256(b"{}").hexdigest())
    refused(export_copy, r"tokenizer\.json is damaged")


@pytest.mark.parametrize("name", ["contract.json", "tokenizer.json"])
def test_a_missing_file_is_named(export_copy: Path, name: str) -> None:
    (export_copy / name).unlink()
    refused(export_copy, re.escape(name))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("saved_model.pb", "SavedModel file does not exist"),
        ("variables/variables.index", "not a valid checkpoint"),
        ("variables/variables.data-00000-of-00001", "variables.data-00000-of-00001; No such file"),
    ],
)
def test_a_missing_part_of_the_graph_is_named(export_copy: Path, name: str, reason: str) -> None:
    (export_copy / name).unlink()
    refused(export_copy, rf"saved_model\.pb or variables/ cannot be loaded: .*{reason}")


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"])
def test_a_truncated_part_of_the_graph_is_named(export_copy: Path, name: str) -> None:
    content = (export_copy / name).read_bytes()
    (export_copy / name).write_bytes(content[: len(content) // 2])
    refused(export_copy, r"saved_model\.pb or variables/ cannot be loaded: (?!Graph execution error)\w+")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"version": "2"}, "says version 2, but lies in the folder 1"),
        ({"labels": []}, "labels must be there, and each only once"),
        ({"labels": ["joy", "joy"]}, "labels must be there, and each only once"),
        ({"labels": ["joy", "fear"]}, "has outputs .*-1, 9.*, expected .*-1, 2"),
        ({"max_tokens": 0}, "has max_tokens 0; two are taken"),
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
def test_a_contract_that_is_not_true_is_refused(
    export_copy: Path, edit: Callable[..., None], fields: dict[str, Any], reason: str
) -> None:
    edit(export_copy / "contract.json", **fields)
    refused(export_copy, reason)


def test_a_contract_of_another_graph_is_refused(export_copy: Path, edit: Callable[..., None]) -> None:
    outputs = [{"name": "probabilities", "dtype": "float32", "shape": ["-1", "2"]}]
    edit(export_copy / "contract.json", labels=["joy", "fear"], outputs=outputs)
    refused(export_copy, r"the contract says outputs .*\(-1, 2\).*, the graph has .*\(-1, 9\)")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_a_contract_that_is_no_json_is_damaged(export_copy: Path, content: bytes) -> None:
    (export_copy / "contract.json").write_bytes(content)
    refused(export_copy, r"contract\.json is damaged")


def test_the_newest_version_is_found_from_each_level(tmp_path: Path) -> None:
    for version in (2, 10, 9):
        folder = tmp_path / "models" / "emotions" / str(version)
        folder.mkdir(parents=True)
        (folder / "contract.json").touch()
    half = tmp_path / "models" / "emotions" / ".11.writing"
    half.mkdir()
    (half / "contract.json").touch()
    newest = tmp_path / "models" / "emotions" / "10"
    assert (
        verify.newest(tmp_path / "models") == verify.newest(tmp_path / "models" / "emotions") == verify.newest(newest) == newest
    )


def test_of_several_models_none_is_guessed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "1" / "contract.json").touch()
    with pytest.raises(VerificationError, match=r"holds several models; name one of .*one, .*two"):
        verify.newest(tmp_path)


@pytest.mark.parametrize("name", ["", "missing"])
def test_a_folder_without_an_export_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(VerificationError, match=r"holds no contract\.json; expected an export"):
        verify.newest(tmp_path / name)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        json.dumps({"weights_sha256": "a", "input_ids": [[1]]}),
        json.dumps({"weights_sha256": "a", "input_ids": [["x"]], "logits": [[0.0]]}),
        json.dumps({"weights_sha256": "a", "input_ids": [[1], [2]], "logits": [[0.0], [0.0, 1.0]]}),
        json.dumps({"weights_sha256": "a", "input_ids": [[1], [2]], "logits": [[0.0]]}),
        json.dumps({"weights_sha256": "a", "input_ids": [[1], []], "logits": [[0.0], [0.0]]}),
        json.dumps({"weights_sha256": "a", "input_ids": [], "logits": []}),
    ],
)
def test_damaged_goldens_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "goldens.json").write_text(content)
    with pytest.raises(VerificationError, match=r"goldens\.json is damaged"):
        golden_files.load(tmp_path / "goldens.json")


def test_missing_goldens_are_named(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=r"goldens\.json does not exist"):
        golden_files.load(tmp_path / "goldens.json")
