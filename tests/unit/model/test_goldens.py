"""Reading of golden outputs, and the packaged ones."""

import json
from pathlib import Path

import pytest
from undertone_model.adapters import LARGE_ADAPTERS, PACKAGED_ADAPTERS, load_adapters
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import VerificationError
from undertone_model.goldens import load_goldens, packaged_goldens


@pytest.mark.parametrize("folder", [PACKAGED_ADAPTERS, LARGE_ADAPTERS])
def test_packaged_goldens_belong_to_the_packaged_adapters(folder: Path) -> None:
    goldens = packaged_goldens(load_adapters(folder).sha256)
    assert goldens is not None
    assert goldens.logits.shape == (len(goldens.input_ids), len(EMOTIONS))


def test_other_weights_have_no_packaged_goldens() -> None:
    assert packaged_goldens("ab" * 32) is None


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
def test_error_names_a_damaged_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "goldens.json").write_text(content)
    with pytest.raises(VerificationError, match=r"goldens\.json is damaged"):
        load_goldens(tmp_path / "goldens.json")


def test_error_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=r"goldens\.json does not exist"):
        load_goldens(tmp_path / "goldens.json")
