"""`make demo` with the real model and a small sample."""

import json
import os
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS, command

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "build" / "models" / "emotions"
STORIES = ("the-ninth-stair", "lost-property")
PARAGRAPHS = 6


@pytest.fixture(scope="module")
def model() -> Path:
    """The demo's model, built by the Makefile."""
    if not MODEL.is_dir():
        message = f"the demo's model does not exist: run `make test` or `undertone-model export {MODEL.parent}`"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return MODEL


@pytest.fixture
def sample(tmp_path: Path) -> list[Path]:
    """The first paragraphs of two stories of the demo."""
    files = []
    for story in STORIES:
        text = (ROOT / "model" / "data" / "demo" / f"{story}.txt").read_text()
        files.append(tmp_path / f"{story}.txt")
        files[-1].write_text("\n\n".join(text.strip().split("\n\n")[:PARAGRAPHS]))
    return files


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    program = [str(argument) for argument in arguments]
    done = subprocess.run(program, check=False, capture_output=True, text=True, env=ENVIRONMENT, timeout=TIMEOUT_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_demo_scores_stories_and_writes_a_report(model: Path, sample: list[Path], tmp_path: Path) -> None:
    out, page = tmp_path / "demo", tmp_path / "report.html"
    score = (command("undertone"), "score", *sample, "--out", out)
    pod = run(command("undertone-pod"), "--model_base_path", model, "--port=0", "--http_port=0", "--", *score)
    assert f"scored  {len(STORIES) * PARAGRAPHS}" in pod.stdout + pod.stderr

    manifest = json.loads((out / "_run.json").read_text())
    assert manifest["complete"] is True
    assert manifest["counts"] == {"scored": len(STORIES) * PARAGRAPHS, "failed": 0, "kept": 0, "short": 0}
    version = max(int(folder.name) for folder in model.iterdir() if folder.name.isdecimal())
    contract = json.loads((model / str(version) / "contract.json").read_text())
    assert manifest["model"]["labels"] == contract["labels"]

    rows = pq.read_table(out / "part-00000.parquet").to_pylist()
    assert [(row["document"], row["position"]) for row in rows] == [
        (story, position) for story in STORIES for position in range(PARAGRAPHS)
    ]
    for row in rows:
        probabilities = {label: row[label] for label in contract["labels"]}
        assert row["label"] == max(probabilities, key=probabilities.__getitem__)
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-4)
        assert (row["model_name"], row["model_version"]) == ("emotions", version)

    run(command("undertone"), "report", out, "--with-text", "--output", page)
    html = page.read_text()
    assert html.startswith("<!doctype html>")
    assert all(story in html for story in STORIES)
    assert "http://" not in html.replace("http://www.w3.org/", "")
    assert "src=" not in html
