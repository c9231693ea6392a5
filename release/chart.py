"""The Helm chart as a release publishes it: one archive, with the digests of its images."""

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from release.errors import ReleaseError

REGISTRY = "ghcr.io/undertone"
CHART = Path("deploy/helm/undertone")

# Enables every component that has an image of ours.
_VALUES = {"batch": {"daily": {"enabled": True, "inputs": ["/input"]}, "input": {"claim": "in"}, "output": {"claim": "out"}}}


def image_names(root: Path) -> list[str]:
    """Names of the images that a release publishes: the folders of docker/."""
    return sorted(dockerfile.parent.name for dockerfile in (root / "docker").glob("*/Dockerfile"))


def example_digests(root: Path) -> dict[str, str]:
    """A digest for each image, of the right form, for checks that publish nothing."""
    return {name: f"sha256:{hashlib.sha256(name.encode()).hexdigest()}" for name in image_names(root)}


def read_digests(root: Path, folder: Path) -> dict[str, str]:
    """Reads the digest of each image from the file of its name in `folder`.

    Raises ReleaseError if one is missing or has another form than sha256:HEX.
    """
    digests = {file.name: file.read_text().strip() for file in folder.iterdir()}
    if missing := set(image_names(root)) - digests.keys():
        raise ReleaseError(f"{folder} lacks the digest of {', '.join(sorted(missing))}.")
    for name, digest in digests.items():
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            raise ReleaseError(f"{folder / name} contains '{digest}': expected sha256: and 64 hexadecimal digits.")
    return digests


def pin_digests(values: str, digests: Mapping[str, str]) -> str:
    """Writes the digest of each of our images into the text of a values file.

    Raises ReleaseError for an image without a digest.
    """

    def pinned(match: re.Match[str]) -> str:
        if match["image"] not in digests:
            raise ReleaseError(f"There is no digest for the image '{match['image']}' of the chart's values.")
        return f'{match["head"]}"{digests[match["image"]]}"'

    # The keys of an image have one indentation; comments and other keys may stand between them.
    image = re.compile(
        rf"^(?P<head>(?P<indent> +)repository: {re.escape(REGISTRY)}/(?P<image>[\w-]+)\n"
        r'(?:(?P=indent).*\n)*?(?P=indent)digest: )""$',
        re.MULTILINE,
    )
    pinned_values, count = image.subn(pinned, values)
    if count != values.count(f"repository: {REGISTRY}/"):
        raise ReleaseError(f"An image of {REGISTRY} in the chart's values has no 'digest: \"\"' after its repository.")
    return pinned_values


def package(root: Path, helm: Path, digests: Mapping[str, str], output: Path) -> Path:
    """Packages the chart into `output` with the digests of its images, and returns the archive."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        chart = Path(temporary) / CHART.name
        shutil.copytree(root / CHART, chart)
        for values in chart.glob("values*.yaml"):
            values.write_text(pin_digests(values.read_text(), digests))
        printed = _helm(helm, "package", str(chart), "--destination", str(output))
    return Path(printed.rsplit(":", 1)[1].strip())


def check_package(helm: Path, archive: Path, digests: Mapping[str, str]) -> list[str]:
    """Renders the packaged chart and returns a problem for each image without its digest."""
    with tempfile.TemporaryDirectory() as temporary:
        shutil.unpack_archive(archive, temporary, filter="data")
        values = Path(temporary) / "all.yaml"
        values.write_text(yaml.safe_dump(_VALUES))
        overlay = Path(temporary) / CHART.name / "values-dev-server.yaml"
        rendered = [
            _helm(helm, "template", "undertone", str(archive), "--values", str(values), *more)
            for more in ([], ["--values", str(overlay)])
        ]
    images = {reference for text in rendered for reference in re.findall(rf"{re.escape(REGISTRY)}/[^\s\"']+", text)}
    expected = {f"{REGISTRY}/{name}@{digest}" for name, digest in digests.items()}
    return [
        f"The packaged chart has the image {image} without the digest of the release." for image in sorted(images - expected)
    ] + [f"The packaged chart does not use the image {image}." for image in sorted(expected - images)]


def _helm(helm: Path, *arguments: str) -> str:
    process = subprocess.run([str(helm), *arguments], check=False, capture_output=True, text=True)
    if process.returncode:
        raise ReleaseError(f"'helm {' '.join(arguments)}' failed:\n{process.stderr}{process.stdout}")
    return process.stdout
