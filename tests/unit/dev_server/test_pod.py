"""Processes of the pod. tests/integration/test_pod.py runs the command."""

import os
import socket
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
