"""A large array in a file, computed in parts, so that a computation that was ended continues."""

import json
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class KeptArray:
    """An array in half precision in the file `path`, and the number of its complete parts.

    `key` is a hash of everything that determines the array. A file with another key is replaced.
    """

    array: NDArray[np.float16]
    parts: int

    def __init__(self, path: Path, key: str, shape: tuple[int, ...]) -> None:
        self._key, self._record = key, path.with_suffix(".json")
        self.parts = self._complete_parts() if path.exists() else 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self.array = np.lib.format.open_memmap(path, mode="r+" if self.parts else "w+", dtype=np.float16, shape=shape)

    def save(self, parts: int) -> None:
        """Writes the array to the disk, of which `parts` are complete."""
        self.array.flush()  # type: ignore[attr-defined]
        staging = self._record.with_suffix(".new")
        with staging.open("w", encoding="utf-8") as file:
            json.dump({"key": self._key, "parts": parts}, file)
            file.flush()
            os.fsync(file.fileno())
        staging.replace(self._record)

    def _complete_parts(self) -> int:
        if not self._record.exists():
            return 0
        record = json.loads(self._record.read_text(encoding="utf-8"))
        return int(record["parts"]) if record["key"] == self._key else 0
