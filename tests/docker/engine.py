"""A container engine, as far as the tests need it: the docker command, and containers that end with the test."""

import contextlib
import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS: Final = 1800.0
"""Bound of every command: a build may have to load TensorFlow first."""

RESTRICTED: Final = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
"""As the chart runs containers."""


def docker(*arguments: str, stdin: str = "") -> str:
    """What the command says on standard output; fails the test with what it says on standard error."""
    done = subprocess.run(
        ["docker", *arguments], check=False, input=stdin, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def unreachable() -> str:
    """Why no engine can be used; empty if one can."""
    try:
        subprocess.run(["docker", "info"], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return "no container engine is reachable; tests/docker/engine.sh runs the tests with one of their own"
    return ""


def build(image: str) -> str:
    """Builds an image of docker/, and returns its name."""
    name = f"undertone/{image}:test"
    docker("build", "--file", str(ROOT / "docker" / image / "Dockerfile"), "--tag", name, str(ROOT))
    return name


def inspect(image: str) -> dict[str, Any]:
    """What the engine knows of an image."""
    (found,) = json.loads(docker("image", "inspect", image))
    return dict(found)


@contextlib.contextmanager
def volume() -> Iterator[str]:
    """The name of a volume that any user may write to, as they may to a pod's."""
    name = f"undertone-{uuid.uuid4().hex[:8]}"
    docker("volume", "create", name)
    try:
        docker("run", "--rm", f"--volume={name}:/volume", "python:3.11-slim", "chmod", "2777", "/volume")
        yield name
    finally:
        docker("volume", "rm", name)


class Container:
    """A container that runs in the background."""

    def __init__(self, *arguments: str) -> None:
        self._id = docker("run", "--detach", *RESTRICTED, *arguments).strip()

    @property
    def network(self) -> str:
        """Argument with which another container shares this one's network, as a pod's containers do."""
        return f"--network=container:{self._id}"

    @property
    def log(self) -> str:
        done = subprocess.run(["docker", "logs", self._id], check=False, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    def until(self, condition: Callable[[], bool], what: str, patience_seconds: float = 300.0) -> None:
        """Waits until the condition holds, as long as the container runs."""
        end = time.monotonic() + patience_seconds
        while not condition():
            running = docker("inspect", "--format={{.State.Running}}", self._id).strip()
            assert running == "true", f"ended instead of: {what}\n{self.log}"
            assert time.monotonic() < end, f"still not so: {what}\n{self.log}"
            time.sleep(0.2)

    def stop(self) -> int:
        """Asks it to end, as Kubernetes does, and returns its exit code."""
        docker("stop", "--time=30", self._id)
        return int(docker("inspect", "--format={{.State.ExitCode}}", self._id))

    def remove(self) -> None:
        docker("rm", "--force", self._id)
