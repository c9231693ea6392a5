"""The command undertone-pod: its checks, its exit codes, and the end of its processes."""

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from undertone_dev_server.pod_command import main

from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS, command, until

POD_ENVIRONMENT = ENVIRONMENT | {"UNDERTONE_CHUNK_OVERLAP": "16"}
"""The sidecar's default exceeds the input of the tiny model."""


def run_pod(base: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    program = [command("undertone-pod"), f"--model_base_path={base}", "--port=0", "--http_port=0", *arguments]
    return subprocess.run(program, check=False, capture_output=True, text=True, env=POD_ENVIRONMENT, timeout=TIMEOUT_SECONDS)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the command in this process, which refuses its arguments. Returns the message."""

    def run(base: Path, *arguments: str) -> str:
        assert main([f"--model_base_path={base}", "--port=0", "--http_port=0", *arguments]) == 2
        message = capsys.readouterr().err
        assert "starting" not in message
        return message

    return run


def processes_of(base: Path) -> list[str]:
    """Command lines of the processes that use the folder, without undertone-pod itself."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_text().replace("\0", " ")
        except OSError:
            continue  # The process has ended.
        if str(base) in line and "undertone-pod" not in line:
            found.append(line)
    return found


@pytest.fixture
def folder(base: Path, tmp_path: Path) -> Path:
    """A copy of the model's folder that only the processes of one test use."""
    return Path(shutil.copytree(base, tmp_path / "emotions"))


def test_the_command_gets_the_target_and_its_exit_code_is_returned(folder: Path) -> None:
    script = "import os, sys; print(os.environ['UNDERTONE_TARGET'], os.environ['UNDERTONE_HTTP_URL']); sys.exit(7)"
    done = run_pod(folder, "--", sys.executable, "-c", script)
    assert done.returncode == 7, done.stderr
    addresses = re.fullmatch(r"localhost:\d+ (http://localhost:\d+)\n", done.stdout)
    assert addresses
    assert f"playground: {addresses[1]}/\n" in done.stderr
    assert processes_of(folder) == []


def test_a_pod_without_playground_has_no_page(folder: Path) -> None:
    script = (
        "import os, urllib.error, urllib.request\n"
        "for path in '/v1/model', '/', '/playground/main.js':\n"
        "    try:\n"
        "        print(urllib.request.urlopen(os.environ['UNDERTONE_HTTP_URL'] + path).status)\n"
        "    except urllib.error.HTTPError as error:\n"
        "        print(error.code)\n"
    )
    done = run_pod(folder, "--playground=false", "--", sys.executable, "-c", script)
    assert done.stdout.split() == ["200", "404", "404"], done.stderr
    assert "playground:" not in done.stderr


def test_a_missing_folder_is_named_with_the_remedy(refused: Callable[..., str], tmp_path: Path) -> None:
    message = refused(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in message
    assert "undertone-model export" in message


def test_a_folder_of_several_models_is_refused_before_the_start(refused: Callable[..., str], folder: Path) -> None:
    assert f"use the folder of one model, such as {folder}" in refused(folder.parent)


@pytest.mark.parametrize(
    ("port", "error"),
    [("-1", "-1 is not in the range"), ("65536", "65536 is not in the range"), ("x", "'x' is not a valid integer")],
)
def test_an_invalid_port_is_refused_before_the_start(refused: Callable[..., str], folder: Path, port: str, error: str) -> None:
    message = refused(folder, f"--port={port}")
    assert "undertone-pod: Invalid value for '--port'" in message
    assert error in message


def test_an_unknown_command_is_named_before_the_start(refused: Callable[..., str], folder: Path) -> None:
    assert "the program no-such-program is not on the PATH" in refused(folder, "--", "no-such-program")


@pytest.mark.parametrize("flag", ["--port", "--http_port"])
def test_a_busy_port_is_named_before_the_start_of_a_process(folder: Path, flag: str) -> None:
    with socket.create_server(("localhost", 0)) as listener:
        port = listener.getsockname()[1]
        done = run_pod(folder, f"{flag}={port}")
    assert done.returncode == 1
    assert f"undertone-pod: port {port} of localhost is in use" in done.stderr
    assert f"use another {flag}, " in done.stderr
    assert "ready on" not in done.stderr


def test_a_log_file_that_cannot_be_written_is_named(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "missing" / "pod.log"
    done = run_pod(folder, f"--log_file={log}")
    assert done.returncode == 2
    assert f"Invalid value for '--log_file': {log} cannot be written: No such file or directory" in done.stderr


def test_a_pod_that_cannot_serve_ends_with_an_error(folder: Path) -> None:
    for name in ("saved_model.pb", "contract.json", "tokenizer.json"):
        (folder / "1" / name).write_text("damaged")
    done = run_pod(folder, "--ready_timeout_seconds=5")
    assert done.returncode == 1
    assert "undertone-pod: " in done.stderr
    assert processes_of(folder) == []


@contextlib.contextmanager
def running_pod(folder: Path, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    arguments = [command("undertone-pod"), f"--model_base_path={folder}", "--port=0", "--http_port=0"]
    with log.open("wb") as output:
        process = subprocess.Popen(arguments, stderr=output, env=POD_ENVIRONMENT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_sigterm_stops_both_processes(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "pod.log"
    with running_pod(folder, log) as process:
        until(lambda: "ready on localhost:" in log.read_text() or process.poll() is not None, "the pod is ready")
        assert len(processes_of(folder)) == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_SECONDS) == 143
    assert processes_of(folder) == []


def test_ctrl_c_stops_a_starting_pod(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "pod.log"
    with running_pod(folder, log) as process:
        until(lambda: "starting TensorFlow" in log.read_text() or process.poll() is not None, "its processes start")
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_SECONDS) == 130
    assert "ready on" not in log.read_text()
    assert processes_of(folder) == []
