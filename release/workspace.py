"""Lists of the workspace's members that repeat [tool.uv.workspace] of pyproject.toml."""

import re
import tomllib
from pathlib import Path

from release.distributions import read_members


def check_workspace(root: Path) -> list[str]:
    """Returns a problem for each list that differs from the uv workspace."""
    tools = tomllib.loads((root / "pyproject.toml").read_text())["tool"]
    problems = []
    packages = re.search(r"^PACKAGES := (.+)$", (root / "Makefile").read_text(), re.MULTILINE)
    if not packages or packages[1].split() != tools["uv"]["workspace"]["members"]:
        problems.append("PACKAGES of the Makefile differs from members of [tool.uv.workspace] in pyproject.toml.")
    sources = {f"{member.folder}/src" for member in read_members(root)}
    if sources != {path for path in tools["mypy"]["mypy_path"] if path.endswith("src")}:
        problems.append("mypy_path in pyproject.toml differs from the src folders of the workspace's members.")
    return problems
