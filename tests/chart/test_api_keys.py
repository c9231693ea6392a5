"""api-keys.sh as a process, with a directory that the test changes as the kubelet does."""

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chart.support.paths import CHART

TIMEOUT_SECONDS = 60
FIRST, SECOND = "first-key-0123456789", "second-key-0123456789"

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


def write_secret(volume: Path, version: str, **keys: str) -> None:
    """Replaces the keys of the Secret in one step."""
    (volume / version).mkdir(parents=True)
    for caller, key in keys.items():
        (volume / version / caller).write_text(key)
        if not (volume / caller).is_symlink():
            (volume / caller).symlink_to(Path("..data", caller))
    (volume / "..new").symlink_to(version)
    (volume / "..new").rename(volume / "..data")


@pytest.fixture
def script(tmp_path: Path) -> "Iterator[subprocess.Popen[str]]":
    """The script in `tmp_path`, with `sleep` in Envoy's place. Its period is shorter."""
    write_secret(tmp_path / "keys", "..1", reader=FIRST)
    short = tmp_path / "bin/sleep"
    short.parent.mkdir()
    short.write_text('#!/bin/sh\n[ "$1" = 2 ] && set 0.05  # the period of the script\nPATH=${PATH#*:} exec sleep "$@"\n')
    short.chmod(0o755)
    environment = os.environ | {"PATH": f"{short.parent}:{os.environ['PATH']}"}
    command = ["bash", str(CHART / "files/envoy/api-keys.sh"), "keys", "run/api-keys.json", "sleep", "600"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment)
    try:
        read_until(process, "loaded the API keys")
        yield process
    finally:
        process.kill()
        process.wait(TIMEOUT_SECONDS)  # the watching part of the script ends only when the process is reaped
        process.communicate(timeout=TIMEOUT_SECONDS)


def read_until(process: "subprocess.Popen[str]", text: str) -> None:
    """Reads messages of the script up to one with this text."""
    assert process.stderr
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"the script ended without the message {text!r}")


def credentials(config: Path) -> list[dict[str, Any]]:
    (resource,) = json.loads(config.read_text())["resources"]
    found: list[dict[str, Any]] = resource["typed_config"]["credentials"]
    return found


def test_changed_keys_are_written_to_the_configuration(tmp_path: Path, script: "subprocess.Popen[str]") -> None:
    config = tmp_path / "run/api-keys.json"
    assert credentials(config) == [{"key": FIRST, "client": "reader"}]
    write_secret(tmp_path / "keys", "..2", reader=SECOND)
    read_until(script, "loaded the changed API keys")
    assert credentials(config) == [{"key": SECOND, "client": "reader"}]


def test_a_configuration_that_cannot_be_written_completely_is_not_used(tmp_path: Path, script: "subprocess.Popen[str]") -> None:
    config, new = tmp_path / "run/api-keys.json", tmp_path / "run/api-keys.json.new"
    new.symlink_to("/dev/full")
    write_secret(tmp_path / "keys", "..2", reader=SECOND)
    assert script.stderr
    # Each attempt has seven messages, one for each part of the file.
    for line in itertools.islice(script.stderr, 10):
        assert "No space left on device" in line
    assert credentials(config) == [{"key": FIRST, "client": "reader"}]
    new.unlink()
    read_until(script, "loaded the changed API keys")
    assert credentials(config) == [{"key": SECOND, "client": "reader"}]
