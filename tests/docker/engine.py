"""The docker command for tests, and containers that are removed after a test."""

import contextlib
import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS: Final = 1800.0
"""The timeout of every command. A build may download TensorFlow."""

RESTRICTED: Final = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
"""The flags that correspond to the security contexts of the chart."""


def docker(*arguments: str, stdin: str = "") -> str:
    """Runs docker and returns its standard output. Fails the test if docker fails."""
    done = subprocess.run(
        ["docker", *arguments], check=False, input=stdin, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
    )
    assert done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def unreachable() -> str:
    """The reason why no engine is reachable, or "" if one is."""
    try:
        subprocess.run(["docker", "info"], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return "no container engine is reachable; tests/docker/engine.sh starts one for the tests"
    return ""


def build(image: str) -> str:
    """Builds an image of docker/. Returns its name."""
    name = f"undertone/{image}:test"
    docker("build", "--file", str(ROOT / "docker" / image / "Dockerfile"), "--tag", name, str(ROOT))
    return name


def inspect(image: str) -> dict[str, Any]:
    """The metadata of an image."""
    (found,) = json.loads(docker("image", "inspect", image))
    return dict(found)


@contextlib.contextmanager
def volume() -> Iterator[str]:
    """A new volume that any user can write to, as in a pod. Yields its name."""
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
        """The flag by which another container shares the network of this one, as in a pod."""
        return f"--network=container:{self._id}"

    @property
    def log(self) -> str:
        done = subprocess.run(["docker", "logs", self._id], check=False, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    def until(self, condition: Callable[[], bool], what: str, timeout_seconds: float = 300.0) -> None:
        """Waits for the condition. Fails if the container exits first."""
        end = time.monotonic() + timeout_seconds
        while not condition():
            running = docker("inspect", "--format={{.State.Running}}", self._id).strip()
            assert running == "true", f"exited before {what}\n{self.log}"
            assert time.monotonic() < end, f"timed out before {what}\n{self.log}"
            time.sleep(0.2)

    def stop(self) -> int:
        """Stops the container with SIGTERM, as Kubernetes does. Returns the exit code."""
        docker("stop", "--time=30", self._id)
        return int(docker("inspect", "--format={{.State.ExitCode}}", self._id))

    def remove(self) -> None:
        docker("rm", "--force", self._id)
