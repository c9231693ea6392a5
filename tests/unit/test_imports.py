"""The modules of each distribution import each other without cycles."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(path.parent for path in ROOT.glob("*/src/*/__init__.py")) + sorted(
    path.parent for path in ROOT.glob("services/*/src/*/__init__.py")
)


def imported_names(source: str) -> Iterator[str]:
    """Names of imported modules, or of objects in them, including imports inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "relative imports are not used"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(name: str, modules: set[str]) -> str | None:
    """The module in `modules` with this name or with an object of this name."""
    candidates = (name, name.rpartition(".")[0])
    return next((candidate for candidate in candidates if candidate in modules), None)


def test_packages_are_found() -> None:
    assert {"undertone_model", "undertone_dev_server", "undertone_sidecar"} <= {package.name for package in PACKAGES}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_imports_have_no_cycle(package: Path) -> None:
    paths = {".".join(path.relative_to(package.parent).with_suffix("").parts): path for path in package.rglob("*.py")}
    modules = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    imports = {
        name: {module_of(imported, set(modules)) for imported in imported_names(path.read_text())} - {None, name}
        for name, path in modules.items()
    }
    list(TopologicalSorter(imports).static_order())  # raises CycleError, with the cycle


def test_a_sidecar_without_its_http_port_does_not_import_the_http_server() -> None:
    program = "import sys, undertone_sidecar; print(sorted({'starlette', 'uvicorn', 'h11'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
