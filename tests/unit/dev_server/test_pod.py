"""Processes of the pod. tests/integration/test_pod.py runs the command."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from undertone_dev_server import pod
from undertone_dev_server.settings import recommended_environment


def test_environment_of_the_user_overrides_the_recommended_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "output"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\nenv > {output}\n")
    program.chmod(0o755)
    # The program is found on the PATH, because none is installed beside this interpreter.
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("TF_ONEDNN_ASSUME_FROZEN_WEIGHTS", "0")
    defaults = recommended_environment()
    assert pod._start("program", [], None, defaults).wait() == 0
    environment = dict(line.split("=", 1) for line in output.read_text().splitlines() if "=" in line)
    assert {name: environment[name] for name in defaults} == defaults | {"TF_ONEDNN_ASSUME_FROZEN_WEIGHTS": "0"}


def test_variables_of_a_pod_override_those_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$THREADS" > {tmp_path}/output\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("THREADS", "2")
    assert pod._start("program", [], None, {"THREADS": "1"}, {"THREADS": "3"}).wait() == 0
    assert (tmp_path / "output").read_text() == "3\n"


def test_processes_of_a_pinned_pod_run_on_its_cpus_only() -> None:
    before = os.sched_getaffinity(0)
    cpu = max(before)
    script = "import os; print(os.sched_getaffinity(0))"
    with pod._pinned([cpu]):
        child = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert child.stdout == f"{{{cpu}}}\n"
    assert os.sched_getaffinity(0) == before


def test_a_temporary_folder_whose_path_is_too_long_for_a_socket_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("t" * 100)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with pytest.raises(pod.PodError, match=r"model\.sock is \d+ bytes long; .* is 107: set TMPDIR"), pod.run(tmp_path, 0, 1.0):
        pass


def test_a_port_with_a_program_that_never_answers_is_busy() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        with pytest.raises(pod.PodError, match=rf"port {port} of localhost is in use: .* another --port, or 0 for a free one"):
            pod._reserve_port(port)
    assert pod._reserve_port(port) == port


def test_port_0_is_a_free_port() -> None:
    port = pod._reserve_port(0)
    with socket.create_server(("localhost", port)):
        assert port > 0
