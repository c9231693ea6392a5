"""What a model server is started with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from undertone_dev_server import environment, pod


def test_the_file_is_read_without_its_comments() -> None:
    found = environment.recommended()
    assert found["TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"] == "1"
    assert all(name == name.upper() and value.isdecimal() for name, value in found.items())


def test_the_pods_model_server_gets_it_beneath_what_its_user_has_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "said"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\nenv > {said}\n")
    program.chmod(0o755)
    # Found on the PATH, as there is none beside this interpreter.
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("TF_ONEDNN_ASSUME_FROZEN_WEIGHTS", "0")
    defaults = environment.recommended()
    assert pod._start("program", [], None, defaults).wait() == 0
    found = dict(line.split("=", 1) for line in said.read_text().splitlines() if "=" in line)
    assert {name: found[name] for name in defaults} == defaults | {"TF_ONEDNN_ASSUME_FROZEN_WEIGHTS": "0"}


def test_the_server_sets_it_before_tensorflow_is_imported() -> None:
    """TensorFlow reads its variables once."""
    script = (
        "import os, sys; from undertone_dev_server import __main__ as m\n"
        "class Import:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'tensorflow': sys.exit(os.environ.get('TF_ONEDNN_ASSUME_FROZEN_WEIGHTS'))\n"
        "sys.meta_path.insert(0, Import()); m.main(['--model_base_path=/nowhere'])"
    )
    variables = {name: value for name, value in os.environ.items() if name not in environment.recommended()}
    found = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=False)
    assert found.stderr.splitlines()[-1:] == ["1"], found.stderr
