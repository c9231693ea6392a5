"""The README's grpcurl commands against a real pod."""

import json
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.integration.conftest import Pod
from tests.integration.support.processes import TIMEOUT_SECONDS

README: Final = Path(__file__).parents[2] / "README.md"
COMMANDS: Final = [
    shlex.split(line) for line in README.read_text().replace("\\\n", " ").splitlines() if line.startswith("    grpcurl ")
]

Grpcurl = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def grpcurl(pod: Pod) -> Grpcurl:
    """Runs a grpcurl command line of the README against the pod."""
    program = shutil.which("grpcurl")
    if program is None:
        pytest.skip("grpcurl is not on the PATH; .ci/grpcurl builds it")

    def run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        arguments = [argument.replace("localhost:50051", pod.sidecar.target) for argument in command[1:]]
        return subprocess.run([program, *arguments], check=False, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)

    return run


def test_readme_commands_work(grpcurl: Grpcurl) -> None:
    services, description, reply, batch = (grpcurl(command) for command in COMMANDS)
    assert "undertone.v1.Classifier" in services.stdout.split()
    assert 'post: "/v1/paragraphs:classify"' in description.stdout.replace('post:"', 'post: "')
    answer = json.loads(reply.stdout)
    assert answer["label"] in answer["labels"]
    assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-5)
    first, _ = json.loads(batch.stdout)["results"]
    assert first["classification"]["label"] in answer["labels"]


def test_errors_name_the_code_and_the_remedy(grpcurl: Grpcurl) -> None:
    *options, _, _, target, method = COMMANDS[2]
    done = grpcurl([*options, "-d", '{"text": " "}', target, method])
    assert done.returncode != 0
    assert "Code: InvalidArgument" in done.stderr
    assert "Message: text is empty or white space only; send at least one visible character" in done.stderr
