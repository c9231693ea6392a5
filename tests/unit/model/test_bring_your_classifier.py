"""docs/how-to/bring-your-classifier.md: its commands, run in their order, families and links."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from undertone_bench.processes import free_ports
from undertone_model.__main__ import undertone_model
from undertone_model.emotions import EMOTIONS
from undertone_model.families import FAMILIES
from undertone_model.startup import LOG_LEVEL
from undertone_model.testing import tiny_checkpoint

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "bring-your-classifier.md"
TEXTS = ("She laughed, and then she wept.", "The sea took her letter.", "He waited in the rain all night.")


def commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the page: a checkpoint, and texts with and without labels."""
    # The sidecar's chunks overlap by 64 tokens, which a model of 64 positions does not allow.
    tiny_checkpoint(tmp_path / "feelings", positions=256, problem_type="multi-label")
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    rows = [{"text": text, "labels": EMOTIONS[number : number + 2]} for number, text in enumerate(TEXTS)]
    (tmp_path / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(LOG_LEVEL, "2")
    return tmp_path


def run_model_command(line: str) -> None:
    """Runs an `undertone-model` command in this process, which has imported TensorFlow."""
    command, _, output = line.partition(" > ")
    result = CliRunner().invoke(undertone_model, shlex.split(command)[1:], prog_name="undertone-model")
    assert result.exit_code == 0, f"{line}\n{result.output}"
    if output:
        Path(output).write_text(result.stdout)


def test_commands_of_the_page(folder: Path) -> None:
    lines = commands()
    pod = next(number for number, line in enumerate(lines) if line.startswith("undertone-pod "))
    for line in lines[:pod]:
        run_model_command(line)
    contract = json.loads((folder / "models/feelings/2/contract.json").read_text())
    assert contract["problem_type"] == "PROBLEM_TYPE_MULTI_LABEL"
    assert contract["thresholds"] == list(json.loads((folder / "thresholds.json").read_text()).values())

    # The pod runs the commands of the second terminal, and ends.
    program = [
        *shlex.split(lines[pod]),
        "--port",
        str(free_ports(1)[0]),
        "--http_port",
        "0",
        "--",
        "sh",
        "-ec",
        "\n".join(lines[pod + 1 :]),
    ]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(program, check=False, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    reply = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    thresholds = zip(EMOTIONS, contract["thresholds"], strict=True)
    expected = {label for label, threshold in thresholds if reply["probabilities"][label] >= threshold}
    assert reply["problem_type"] == "multi-label"
    assert set(reply["labels_above_threshold"]) == expected
    assert json.loads((folder / "scores" / "_run.json").read_text())["counts"]["scored"] == len(TEXTS)
    assert (folder / "feelings.html").stat().st_size > 0


def test_page_names_every_family() -> None:
    table = PAGE.read_text().partition("| `model_type` | models |")[2].partition("\n\n")[0]
    assert set(FAMILIES) == set(re.findall(r"^\| `([^`]+)`", table, re.MULTILINE))


def test_links_of_the_page_exist() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE.read_text()):
        assert (PAGE.parent / link).exists()
