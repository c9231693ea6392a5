"""The commands of docs/how-to/http.md against a real pod."""

import json
import re
import shlex
import subprocess
from pathlib import Path

from tests.integration.conftest import Pod
from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS

PAGE = (Path(__file__).parents[2] / "docs/how-to/http.md").read_text()


def test_the_commands_of_the_page(pod: Pod) -> None:
    blocks = re.findall(r"^    curl .*(?:\n(?:        .*))*", PAGE, re.MULTILINE)
    outputs = []
    for block in blocks:
        if "https:" in block:
            continue
        command = shlex.split(block.replace("\\\n", " ").replace("localhost:8080", f"localhost:{pod.sidecar.http_port}"))
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=ENVIRONMENT, timeout=TIMEOUT_SECONDS)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    classified, batch, model, lane, misspelt, live, ready = outputs
    assert json.loads(classified)["label"] in json.loads(classified)["labels"]
    first, second = json.loads(batch)["results"]
    assert (first["id"], second["id"], second["error"]["code"]) == ("1", "2", 3)
    assert json.loads(model)["contract"]["name"] == "emotions"
    assert json.loads(lane)["tokens"] > 0
    (expected,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert json.loads(misspelt) == json.loads(expected)
    assert (live, ready) == ("ok\n", "ok\n")
