"""Installs a wheel alone, in an environment of its own, and tries its commands there."""

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from release.distributions import Member, Wheel
from release.errors import ReleaseError

# Runs in the new environment: its distributions, with the sizes of the files that they installed.
_LIST = """
import json
from importlib.metadata import distributions
def size(distribution):
    files = [file.locate() for file in distribution.files or ()]
    return sum(file.stat().st_size for file in files if file.is_file())
print(json.dumps({distribution.name: size(distribution) for distribution in distributions()}))
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """Packages that the installation of one wheel brought."""

    name: str
    sizes: dict[str, int]
    """Bytes of each installed distribution, by its name."""

    def __str__(self) -> str:
        largest = sorted(self.sizes, key=lambda name: self.sizes[name], reverse=True)[:4]
        sizes = ", ".join(f"{name} {self.sizes[name] / 1e6:.1f}" for name in largest)
        return f"{self.name}: {len(self.sizes)} distributions, {sum(self.sizes.values()) / 1e6:.1f} MB (largest: {sizes})"


class CleanEnvironment:
    """A virtual environment with one wheel and its dependencies in the versions of the lock.

    Third-party packages come from uv's cache; uv downloads those that the cache lacks. Each must
    have a hash of requirements.lock.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self._bin = folder / "bin"

    def install(self, wheel: Wheel, members: list[Wheel]) -> Installation:
        """Installs `wheel`; other members of the workspace come from `members`."""
        self._uv("venv", "--quiet", "--clear", "--python", sys.executable, str(self._folder))
        sources = self._write("members.txt", [_requirement(member) for member in members])
        wanted = self._write("wanted.txt", [_requirement(wheel)])
        # In the root folder, the options of [tool.uv] apply; they keep a second TensorFlow out.
        resolved = self._uv(
            "pip", "compile", "--quiet", "--no-sources", "--no-header", "--no-annotate", "--python", str(self._bin / "python"),
            "--constraints", str(self._root / "requirements.lock"), "--constraints", str(sources), str(wanted),
        )  # fmt: skip
        hashed = self._write("requirements.txt", self._add_hashes(resolved, members))
        target = ["--quiet", "--python", str(self._folder)]
        self._uv("pip", "install", *target, "--no-deps", "--require-hashes", "--requirements", str(hashed))
        return Installation(wheel.name, json.loads(self._run("python", "-c", _LIST)))

    def try_commands(self, wheel: Wheel, member: Member, version: str) -> None:
        """Imports the packages and runs --help and --version of each command.

        Raises ReleaseError with the output of the first that fails.
        """
        self._run("python", "-c", f"import {', '.join(wheel.packages)}")
        for script in member.scripts:
            self._run(script, "--help")
            if version not in (output := self._run(script, "--version")):
                raise ReleaseError(f"'{script} --version' prints '{output.strip()}', without {version}.")

    def _add_hashes(self, resolved: str, members: list[Wheel]) -> list[str]:
        """Returns the resolved requirements with the hashes of the lock, or of the built wheels."""
        lock = (self._root / "requirements.lock").read_text()
        # The key is the name and the version, because the lock has several versions of some names.
        hashed = {entry.split()[0]: entry for entry in re.split(r"\n(?=\S)", lock)}
        for member in members:
            hash_of_wheel = hashlib.sha256(member.path.read_bytes()).hexdigest()
            hashed[member.name] = f"{_requirement(member)} --hash=sha256:{hash_of_wheel}"
        keys = [line.split()[0] for line in resolved.splitlines() if line and line[0] not in "# "]
        if unknown := [key for key in keys if key not in hashed]:
            raise ReleaseError(f"requirements.lock lacks {', '.join(unknown)}: run 'make lock'.")
        return [hashed[key] for key in keys]

    def _write(self, name: str, lines: list[str]) -> Path:
        file = self._folder / name
        file.write_text("".join(f"{line}\n" for line in lines))
        return file

    def _run(self, program: str, *arguments: str) -> str:
        environment = {"PATH": f"{self._bin}:/usr/bin:/bin", "HOME": str(self._folder), "TF_CPP_MIN_LOG_LEVEL": "2"}
        return _output([str(self._bin / program), *arguments], self._folder, environment)

    def _uv(self, *arguments: str) -> str:
        """Runs uv without the network, and again with it if the cache lacks something."""
        command = [str(Path(sys.executable).with_name("uv")), *arguments]
        environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        try:
            return _output([*command, "--offline"], self._root, environment)
        except ReleaseError:
            return _output(command, self._root, environment)


def _requirement(wheel: Wheel) -> str:
    return f"{wheel.name} @ {wheel.path.resolve().as_uri()}"


def _output(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    process = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    if process.returncode:
        name = Path(command[0]).name
        raise ReleaseError(
            f"'{name} {' '.join(command[1:])}' ended with status {process.returncode}:\n{process.stdout}{process.stderr}"
        )
    return process.stdout
