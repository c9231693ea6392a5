"""Runs the command of a rendered container with scripts instead of its programs."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from undertone_bench.chart import Manifest


def run_container(
    container: Manifest,
    folder: Path,
    program: str,
    environment: Mapping[str, str] | None = None,
    programs: Mapping[str, str] | None = None,
) -> list[str]:
    """The output of a container's command.

    The script `program` takes the place of `undertone`, and `programs` those of others.
    """
    for name, script in {"undertone": program, **(programs or {})}.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    path = f"{folder}:/usr/bin:/bin"
    given = [*container["command"], *container["args"]]
    ran = subprocess.run(
        [shutil.which(given[0], path=path) or given[0], *given[1:]],
        env={"PATH": path, **(environment or {})},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.splitlines()
