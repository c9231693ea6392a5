"""Whether the model in a pod is the one that the chart's values name; what is wrong is said at once, by an init container.

Otherwise the model server would wait for the version, and the pod would merely not become ready.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path


class WrongModelError(Exception):
    """The message says what is wrong and which value to change."""


def check(root: Path, name: str, version: int, precision: str) -> str:
    """The precision of `root`/`name`/`version`, if that is a whole export of that name, version and `precision`.

    `precision` "auto" takes any. Raises WrongModelError.
    """
    folder = root / name / str(version)
    if not folder.is_dir():
        raise WrongModelError(f"there is no {folder}; model.name and model.version choose one of: {_found(root)}")
    for part in ("saved_model.pb", "tokenizer.json", "contract.json"):
        if not (folder / part).is_file():
            raise WrongModelError(f"{folder} has no {part}; it is no whole export of `undertone-model export`")
    try:
        contract = json.loads((folder / "contract.json").read_text())
        found = (contract["name"], int(contract["version"]), contract["precision"])
    except (ValueError, KeyError, TypeError) as error:
        raise WrongModelError(f"{folder / 'contract.json'} cannot be read ({error!r}); export the model again") from None
    if found[:2] != (name, version):
        raise WrongModelError(f"{folder} holds {found[0]} {found[1]} by its contract; a version folder keeps its name")
    if precision not in ("auto", found[2]):
        raise WrongModelError(
            f"{folder} computes in {found[2]}, but model.precision is {precision}; choose a model.version that was exported in "
            f"{precision}, or set model.precision to auto"
        )
    return str(found[2])


def _found(root: Path) -> str:
    folders = sorted(f"{folder.parent.name} {folder.name}" for folder in root.glob("*/*") if folder.name.isdecimal())
    return ", ".join(folders) or f"nothing, as {root} has no <name>/<version> folders"


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 1 for a wrong model."""
    parser = argparse.ArgumentParser(description="Checks that a folder holds the model that the chart's values name.")
    parser.add_argument("root", type=Path)
    parser.add_argument("name")
    parser.add_argument("version", type=int)
    parser.add_argument("precision", choices=("auto", "fp32", "bf16"))
    given = parser.parse_args(arguments)
    try:
        precision = check(given.root, given.name, given.version, given.precision)
    except WrongModelError as error:
        print(f"wrong model: {error}", file=sys.stderr)
        return 1
    print(f"{given.name} {given.version}, {precision}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
