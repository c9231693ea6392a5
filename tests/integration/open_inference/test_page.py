"""The examples of docs/how-to/open-inference-protocol.md against a real pod."""

import json
import re
import shlex
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.integration.conftest import Pod
from tests.integration.open_inference.test_clients import client_python
from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS

PAGE = (Path(__file__).parents[3] / "docs/how-to/open-inference-protocol.md").read_text()


def commands(program: str) -> list[list[str]]:
    """The command lines of a program, whose arguments may contain line breaks."""
    blocks = re.findall(rf"^    {program} .*(?:\n(?:        .*))*", PAGE, re.MULTILINE)
    return [shlex.split(block.replace("\\\n", " ")) for block in blocks]


def run(command: Sequence[str], pod: Pod) -> str:
    """The output of a command, whose arguments may contain the default addresses."""
    addresses = {"localhost:50051": pod.sidecar.target, "localhost:8080": f"localhost:{pod.sidecar.http_port}"}
    arguments = list(command)
    for default, address in addresses.items():
        arguments = [argument.replace(default, address) for argument in arguments]
    if shutil.which(arguments[0]) is None:
        pytest.skip(f"{arguments[0]} is not on the PATH")
    done = subprocess.run(arguments, check=False, capture_output=True, text=True, env=ENVIRONMENT, timeout=TIMEOUT_SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_the_python_example(pod: Pod, kind: str) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    if kind == "http":
        example = example.replace("tritonclient.grpc", "tritonclient.http").replace(":50051", ":8080")
        example = example.replace(", client_timeout=5", "")
    lines = run([client_python(), "-c", example], pod).splitlines()
    assert [re.sub(r"^\S+ 0\.\d\d ", "", line) for line in lines] == ["The letter came a week too late.", "At last, home!"]


def test_the_commands(pod: Pod) -> None:
    inference, metadata = (json.loads(run(command, pod)) for command in commands("curl"))
    outputs = {output["name"]: output for output in inference["outputs"]}
    assert metadata["name"] == inference["model_name"] == "emotions"
    # The page names all outputs of the metadata, with their data types.
    table = dict(re.findall(r"^\| `(\w+)` \| (\w+) \| \[(?:n|labels)", PAGE, re.MULTILINE))
    assert table == {t["name"]: t["datatype"] for t in [*metadata["inputs"], *metadata["outputs"]]} | {
        "above_threshold": "BOOL"
    }
    (call,) = commands("grpcurl")
    label = json.loads(run(call, pod))["outputs"][0]["contents"]["bytes_contents"][0]
    assert [b64decode(label).decode()] == outputs["label"]["data"]
