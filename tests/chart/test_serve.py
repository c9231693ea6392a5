"""The script around TF Serving, as a process, around a server that ignores SIGTERM as TF Serving does."""

import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.chart.support.paths import CHART

BASH = shutil.which("bash")
PATIENCE_SECONDS = 20
STUBBORN = ("bash", "-c", "trap '' TERM INT; echo ready; while :; do sleep 0.1; done")
# A namespace of its own, in which the script is PID 1, as in a container.
NAMESPACE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")

pytestmark = pytest.mark.skipif(BASH is None, reason="bash is not installed")


class Script:
    """The running script, and how to start it."""

    def __init__(self, *command: str, prefix: Sequence[str] = ()) -> None:
        self.process = subprocess.Popen(
            [*prefix, "bash", str(CHART / "files/serve.sh"), *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> None:
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"

    def ended(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)


@pytest.fixture
def started() -> Iterator[list[Script]]:
    """Those that a test started, to be ended with it."""
    scripts: list[Script] = []
    yield scripts
    for script in scripts:
        script.process.kill()
        script.process.communicate()


@pytest.fixture(scope="module")
def _namespaces() -> None:
    if shutil.which("unshare") is None or subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let us make a PID namespace")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_a_server_that_ignores_the_signal(started: list[Script], number: signal.Signals) -> None:
    script = Script(*STUBBORN)
    started.append(script)
    script.ready()
    script.process.send_signal(number)
    assert script.ended() == 0


@pytest.mark.usefixtures("_namespaces")
def test_ends_the_server_as_pid_1(started: list[Script]) -> None:
    script = Script(*STUBBORN, prefix=NAMESPACE)
    started.append(script)
    script.ready()
    (first,) = Path(f"/proc/{script.process.pid}/task/{script.process.pid}/children").read_text().split()
    assert Path(f"/proc/{first}/status").read_text().partition("NSpid:")[2].split()[1] == "1"
    subprocess.run(["kill", "-TERM", first], check=True)
    assert script.ended() == 0


@pytest.mark.usefixtures("_namespaces")
def test_alone_the_server_would_not_end_as_pid_1() -> None:
    """What the script is for."""
    ending_itself = ("bash", "-c", "kill -TERM $$; kill -KILL $$; echo still here")
    ran = subprocess.run([*NAMESPACE, *ending_itself], capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS)
    assert ran.stdout == "still here\n"


def test_tells_how_the_server_ended(started: list[Script]) -> None:
    script = Script("bash", "-c", "exit 7")
    started.append(script)
    assert script.ended() == 7


def test_tells_that_the_server_is_missing(started: list[Script]) -> None:
    script = Script("no-such-server")
    started.append(script)
    assert script.ended() == 127
    assert script.process.stderr
    assert "no-such-server" in script.process.stderr.read()


def test_gives_the_server_its_arguments_as_they_are(started: list[Script]) -> None:
    script = Script("printf", "%s\\n", "--a=b c", "$HOME")
    started.append(script)
    assert script.ended() == 0
    assert script.process.stdout
    assert script.process.stdout.read() == "--a=b c\n$HOME\n"
