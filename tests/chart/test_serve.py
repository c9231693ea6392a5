"""serve.sh as a process, with a server that ignores SIGTERM as TF Serving does."""

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import yaml
from undertone_bench.chart import Chart

from tests.chart.support.paths import CHART
from tests.chart.support.pods import find_container, inference_pod

TIMEOUT_SECONDS = 20
STUBBORN_SERVER = ("bash", "-c", "trap '' TERM INT; echo ready; while :; do sleep 0.1; done")
# The program is PID 1 of a new PID namespace, as in a container.
NEW_NAMESPACE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


class Script:
    """A running serve.sh."""

    def __init__(self, *command: str, prefix: Sequence[str] = ()) -> None:
        self.process = subprocess.Popen(
            [*prefix, "bash", str(CHART / "files/serve.sh"), *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_ready(self) -> None:
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"

    def wait(self) -> int:
        """Returns the exit code."""
        return self.process.wait(TIMEOUT_SECONDS)


Serve = Callable[..., Script]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts serve.sh; kills it at the end of the test."""
    scripts: list[Script] = []

    def start(*command: str, prefix: Sequence[str] = ()) -> Script:
        scripts.append(Script(*command, prefix=prefix))
        return scripts[-1]

    yield start
    for script in scripts:
        script.process.kill()
        script.process.communicate()


@pytest.fixture(scope="module")
def _namespaces() -> None:
    if shutil.which("unshare") is None or subprocess.run([*NEW_NAMESPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow new PID namespaces")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_kills_a_server_that_ignores_the_signal(serve: Serve, number: signal.Signals) -> None:
    script = serve(*STUBBORN_SERVER)
    script.wait_ready()
    script.process.send_signal(number)
    assert script.wait() == 0


@pytest.mark.usefixtures("_namespaces")
def test_kills_the_server_as_pid_1(serve: Serve) -> None:
    script = serve(*STUBBORN_SERVER, prefix=NEW_NAMESPACE)
    script.wait_ready()
    (pid,) = Path(f"/proc/{script.process.pid}/task/{script.process.pid}/children").read_text().split()
    assert Path(f"/proc/{pid}/status").read_text().partition("NSpid:")[2].split()[1] == "1"
    subprocess.run(["kill", "-TERM", pid], check=True)
    assert script.wait() == 0


@pytest.mark.usefixtures("_namespaces")
def test_kernel_ignores_signals_from_the_namespace_to_pid_1() -> None:
    """The reason for the script: no process in a container can kill its PID 1."""
    kills_itself = ("bash", "-c", "kill -TERM $$; kill -KILL $$; echo still here")
    done = subprocess.run([*NEW_NAMESPACE, *kills_itself], capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS)
    assert done.stdout == "still here\n"


def test_exits_with_the_exit_code_of_the_server(serve: Serve) -> None:
    assert serve("bash", "-c", "exit 7").wait() == 7


def test_reports_a_missing_server(serve: Serve) -> None:
    script = serve("no-such-server")
    assert script.wait() == 127
    assert script.process.stderr
    assert "no-such-server" in script.process.stderr.read()


def test_passes_arguments_unchanged(serve: Serve) -> None:
    script = serve("printf", "%s\\n", "--a=b c", "$HOME")
    assert script.wait() == 0
    assert script.process.stdout
    assert script.process.stdout.read() == "--a=b c\n$HOME\n"


@pytest.fixture
def model_server(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a tensorflow_model_server of a version, which prints `ready` and its arguments."""

    def write(version: str) -> Path:
        program = tmp_path / "tensorflow_model_server"
        answer = f"TensorFlow ModelServer: {version}-rc0+dev.sha.0000000"
        program.write_text(f'#!/bin/bash\n[[ $1 == --version ]] && echo "{answer}" || echo "ready $*"\n')
        program.chmod(0o755)
        return program

    return write


VERSION = "2.19.1"


@pytest.mark.parametrize("flag", ["--prot=8500", "--mixed-precision=bfloat16", "-port=8500", "8500", "--", "--model_nam"])
def test_refuses_a_flag_that_tf_serving_would_ignore(serve: Serve, model_server: Callable[[str], Path], flag: str) -> None:
    script = serve(str(model_server(VERSION)), "--port=8500", flag, "--enable_batching")
    output, errors = script.process.communicate(timeout=TIMEOUT_SECONDS)
    assert (script.process.returncode, output) == (2, "")
    assert f"TF Serving {VERSION} has no flag {flag}: correct modelServer.extraArgs" in errors


def test_only_warns_of_flags_of_another_version(serve: Serve, model_server: Callable[[str], Path]) -> None:
    script = serve(str(model_server("2.20.0")), "--new_flag=1", "--other")
    output, errors = script.process.communicate(timeout=TIMEOUT_SECONDS)
    assert (script.process.returncode, output) == (0, "ready --new_flag=1 --other\n")
    assert f"warning: TF Serving {VERSION} has no flag --new_flag=1, --other; this is another version" in errors


def test_accepts_the_flags_of_the_chart(serve: Serve, model_server: Callable[[str], Path], chart: Chart) -> None:
    server = find_container(inference_pod(chart), "model-server")
    arguments = [*server["command"][3:], *server["args"]]
    script = serve(str(model_server(VERSION)), *arguments)
    output, errors = script.process.communicate(timeout=TIMEOUT_SECONDS)
    assert (output, errors) == (f"ready {' '.join(arguments)}\n", "")


def test_does_not_check_the_flags_of_other_programs(serve: Serve) -> None:
    script = serve("echo", "--prot=8500")
    assert script.process.communicate(timeout=TIMEOUT_SECONDS) == ("--prot=8500\n", "")


def test_flags_are_those_of_the_version_of_the_chart(chart: Chart) -> None:
    tag = yaml.safe_load((CHART / "values.yaml").read_text())["modelServer"]["image"]["tag"]
    assert f"# Version: {tag}\n" in (CHART / "files/model-server-flags.txt").read_text()
    data = chart.render().one("ConfigMap", "-inference")["data"]
    assert data["model-server-flags.txt"].strip() == (CHART / "files/model-server-flags.txt").read_text().strip()
