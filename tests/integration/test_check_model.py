"""check_model.py of the chart, with a real export of which parts are missing or cut."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chart.support.paths import CHART

INDEX = "variables/variables.index"
DATA = "variables/variables.data-00000-of-00001"
WARM_UP = "assets.extra/tf_serving_warmup_requests"
FILES = ("saved_model.pb", INDEX, DATA, WARM_UP, "tokenizer.json", "contract.json")


@pytest.fixture
def models(exports: Path, tmp_path: Path) -> Path:
    """A directory with version 1 of the model emotions, in fp32."""
    shutil.copytree(exports / "1", tmp_path / "emotions/1")
    return tmp_path


def check(models: Path, version: int = 1, precision: str = "auto") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(CHART / "files/check_model.py"), str(models), "emotions", str(version), precision]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_a_complete_export_is_accepted(models: Path, precision: str) -> None:
    checked = check(models, precision=precision)
    assert (checked.returncode, checked.stdout) == (0, "emotions 1, fp32\n"), checked.stderr


@pytest.mark.parametrize("file", FILES)
def test_an_export_without_a_file_is_refused(models: Path, file: str) -> None:
    (models / "emotions/1" / file).unlink()
    checked = check(models)
    assert checked.returncode == 1
    assert Path(file).name in checked.stderr
    assert "rename it (mv)" in checked.stderr


def test_an_export_without_variables_is_refused(models: Path) -> None:
    """TF Serving would load it, and each call would fail."""
    shutil.rmtree(models / "emotions/1/variables")
    checked = check(models)
    assert checked.returncode == 1
    assert f"emotions/1 has no {INDEX}: the copy of the version is not complete" in checked.stderr


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("file", FILES)
def test_a_cut_file_is_refused(models: Path, file: str, share: float) -> None:
    path = models / "emotions/1" / file
    content = path.read_bytes()
    path.write_bytes(content[: min(int(share * len(content)), len(content) - 2)])
    checked = check(models)
    assert checked.returncode == 1, checked.stdout
    assert Path(file).name in checked.stderr
    assert "Traceback" not in checked.stderr


def test_a_missing_version_is_refused_and_the_others_are_listed(models: Path) -> None:
    checked = check(models, version=4)
    assert checked.returncode == 1
    assert "emotions/4 does not exist" in checked.stderr
    assert "set model.name and model.version to one of: emotions 1" in checked.stderr


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    assert "one of: (none: " in check(tmp_path).stderr


def test_another_precision_is_refused(models: Path) -> None:
    checked = check(models, precision="bf16")
    assert checked.returncode == 1
    assert "has the precision fp32, but model.precision is bf16" in checked.stderr


def write_contract(folder: Path, **changes: object) -> None:
    path = folder / "contract.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "contract.json").write_text("[]"), "cannot be read"),
        (lambda folder: write_contract(folder, version="3"), "contains emotions 3 according to its contract"),
        (lambda folder: write_contract(folder, tokenizer_sha256="0"), "is not the file of the contract"),
        (lambda folder: (folder / INDEX).write_bytes(b"x" * 5000), "has no end"),
        (lambda folder: (folder / INDEX).write_bytes((folder / INDEX).read_bytes()[-60:]), "cannot be read"),
    ],
    ids=["no contract", "renamed", "other tokenizer", "other index", "end of the index"],
)
def test_a_damaged_export_is_refused(models: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(models / "emotions/1")
    checked = check(models)
    assert checked.returncode == 1
    assert message in checked.stderr
    assert "Traceback" not in checked.stderr
