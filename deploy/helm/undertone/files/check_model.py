"""Checks that a pod has the whole model that the values of the chart specify.

Runs in an init container, which fails with a reason if the model is wrong. Without this check, the
model server would wait for the version without an error, or would load a version of which a part is
missing: TF Serving takes a directory without `variables/` for a model without variables.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
FILES = ("saved_model.pb", "variables/variables.index", WARMUP_FILE, "tokenizer.json", "contract.json")

INDEX_MAGIC = bytes.fromhex("57fb808b247547db")
"""The last bytes of TensorFlow's index of variables, which is a table of LevelDB."""

INDEX_FOOTER_BYTES = 48


class WrongModelError(Exception):
    """The model does not match the values, or is incomplete. The message names the remedy."""


class IncompleteError(WrongModelError):
    """A file is missing or has a part of its bytes."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path} {problem}: the copy of the version is not complete. If it is being copied, this check succeeds after "
            "its end. Copy a version to another directory and rename it (mv) when it is complete"
        )


def check(root: Path, name: str, version: int, precision: str) -> str:
    """Checks that `root`/`name`/`version` is a complete export of this name, version and precision.

    The precision "auto" accepts any precision. Returns the precision of the model. Raises
    WrongModelError.
    """
    folder = root / name / str(version)
    if not folder.is_dir():
        raise WrongModelError(f"{folder} does not exist; set model.name and model.version to one of: {_models(root)}")
    for part in FILES:
        if not (folder / part).is_file():
            raise IncompleteError(folder, f"has no {part}")
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
    expected = contract.get("tokenizer_sha256") or contract.get("tokenizerSha256")
    if hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest() != expected:
        raise IncompleteError(folder / "tokenizer.json", "is not the file of the contract (SHA-256)")
    _check_message(folder / "saved_model.pb")
    _check_records(folder / WARMUP_FILE)
    _check_variables(folder / "variables")
    return str(exported[2])


def _models(root: Path) -> str:
    versions = sorted(f"{folder.parent.name} {folder.name}" for folder in root.glob("*/*") if folder.name.isdecimal())
    return ", ".join(versions) or f"(none: {root} has no <name>/<version> directories)"


def _check_message(path: Path) -> None:
    """Checks that the file is a whole message of protocol buffers with at least one field."""
    try:
        if not list(_fields(path.read_bytes())):
            raise IncompleteError(path, "is empty")
    except (IndexError, ValueError):
        raise IncompleteError(path, "ends within a field") from None


def _check_records(path: Path) -> None:
    """Checks that the file consists of whole TFRecords."""
    data, position = path.read_bytes(), 0
    while position < len(data):
        # The length and its checksum, the record and its checksum.
        position += 12 + int.from_bytes(data[position : position + 8], "little") + 4
    if not data or position != len(data):
        raise IncompleteError(path, "ends within a record")


def _check_variables(folder: Path) -> None:
    """Checks that each file with the data of variables has all bytes that the index names."""
    path = folder / "variables.index"
    index = path.read_bytes()
    if len(index) < INDEX_FOOTER_BYTES or not index.endswith(INDEX_MAGIC):
        raise IncompleteError(path, "has no end")
    try:
        shards, sizes = _read_index(index)
    except (IndexError, ValueError, KeyError) as error:
        raise WrongModelError(f"{path} cannot be read ({error!r}); export the model again") from None
    for shard in range(shards):
        data = folder / f"variables.data-{shard:05}-of-{shards:05}"
        size = data.stat().st_size if data.is_file() else 0
        if not data.is_file() or size < sizes.get(shard, 0):
            raise IncompleteError(data, f"has {size} of {sizes.get(shard, 0)} bytes")


def _read_index(index: bytes) -> tuple[int, dict[int, int]]:
    """The number of files with data, and the size of each in bytes, by its number.

    The index is a LevelDB table without compression. The key "" has a BundleHeaderProto, and each
    other key is a variable and has a BundleEntryProto (tensor_bundle.proto of TensorFlow).
    """
    # The footer begins with the offset and size of the metaindex block, which is not used.
    start = len(index) - INDEX_FOOTER_BYTES
    for _ in range(2):
        _, start = _varint(index, start)
    shards, sizes = 1, dict[int, int]()
    for _, handle in _block(index, start):
        for key, value in _block(index, 0, handle):
            fields = dict(_fields(value))
            if key:
                shard = int(fields.get(3, 0))
                sizes[shard] = max(sizes.get(shard, 0), int(fields.get(4, 0)) + int(fields.get(5, 0)))
            else:
                shards = int(fields.get(1, 1))
    return shards, sizes


def _block(table: bytes, position: int, handle: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block, whose handle (offset and size) is at `position` or is given."""
    source = table if handle is None else handle
    offset, position = _varint(source, position)
    size, _ = _varint(source, position)
    block = table[offset : offset + size]
    if len(block) != size or size < 4:
        raise ValueError(f"a block of {size} bytes is not in the file")
    end = size - 4 * (int.from_bytes(block[-4:], "little") + 1)
    position, key = 0, b""
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        yield key, block[position : position + length]
        position += length


def _fields(message: bytes) -> Iterator[tuple[int, int]]:
    """Numbers and values of the top fields of a message. The value of a field of bytes is its
    length. Raises IndexError or ValueError if the message is cut.
    """
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        match tag & 7:
            case 0:
                value, position = _varint(message, position)
            case 1:
                value, position = 8, position + 8
            case 2:
                value, position = _varint(message, position)
                position += value
            case 5:
                value, position = 4, position + 4
            case kind:
                raise ValueError(f"a field has the type {kind}")
        if position > len(message):
            raise ValueError("a field is cut")
        yield tag >> 3, value


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """An integer of variable length at `position`, and the position after it."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


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
    except (WrongModelError, OSError) as error:
        print(f"wrong model: {error}", file=sys.stderr)
        return 1
    print(f"{options.name} {options.version}, {precision}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
