"""Checks that a pod has the model that the values of the chart specify.

Runs in an init container, which fails with a reason if the model is wrong. Without this check, the
model server would wait for the version without an error, and the pod would not become ready.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path


class WrongModelError(Exception):
    """The model does not match the values. The message names the value to change."""


def check(root: Path, name: str, version: int, precision: str) -> str:
    """Checks that `root`/`name`/`version` is a complete export of this name, version and precision.

    The precision "auto" accepts any precision. Returns the precision of the model. Raises
    WrongModelError.
    """
    folder = root / name / str(version)
    if not folder.is_dir():
        raise WrongModelError(f"{folder} does not exist; set model.name and model.version to one of: {_models(root)}")
    for part in ("saved_model.pb", "tokenizer.json", "contract.json"):
        if not (folder / part).is_file():
            raise WrongModelError(f"{folder} has no {part}; it is not a complete export of `undertone-model export`")
    try:
        contract = json.loads((folder / "contract.json").read_text())
        exported = (contract["name"], int(contract["version"]), contract["precision"])
    except (ValueError, KeyError, TypeError) as error:
        raise WrongModelError(f"{folder / 'contract.json'} cannot be read ({error!r}); export the model again") from None
    if exported[:2] != (name, version):
        raise WrongModelError(
            f"{folder} contains {exported[0]} {exported[1]} according to its contract; do not rename version directories"
        )
    if precision not in ("auto", exported[2]):
        raise WrongModelError(
            f"{folder} has the precision {exported[2]}, but model.precision is {precision}; set model.version to a version "
            f"that was exported in {precision}, or model.precision to auto"
        )
    return str(exported[2])


def _models(root: Path) -> str:
    versions = sorted(f"{folder.parent.name} {folder.name}" for folder in root.glob("*/*") if folder.name.isdecimal())
    return ", ".join(versions) or f"(none: {root} has no <name>/<version> directories)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 1 for a wrong model."""
    parser = argparse.ArgumentParser(description="Checks that a directory contains the model that the values name.")
    parser.add_argument("root", type=Path)
    parser.add_argument("name")
    parser.add_argument("version", type=int)
    parser.add_argument("precision", choices=("auto", "fp32", "bf16"))
    options = parser.parse_args(arguments)
    try:
        precision = check(options.root, options.name, options.version, options.precision)
    except WrongModelError as error:
        print(f"wrong model: {error}", file=sys.stderr)
        return 1
    print(f"{options.name} {options.version}, {precision}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
