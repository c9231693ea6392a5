"""The state of a training between two steps, in a file, so that a training that was ended
continues.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import tensorflow as tf

Variables: TypeAlias = Mapping[str, tf.Variable]


class KeptSteps:
    """The values of variables and the number of steps in the file `path`.

    `recipe` is a text that differs between trainings. The file of another training is not read; it
    is replaced by the first `save`.
    """

    def __init__(self, path: Path, recipe: str) -> None:
        self.recipe = recipe
        self._path = path

    def load(self, key: str, variables: Variables) -> tuple[int, float]:
        """Assigns the values in the file, and returns the number of steps and the mean loss.

        Both are 0 if there is no file of the training `key`.
        """
        if not self._path.exists():
            return 0, 0.0
        with np.load(self._path) as kept:
            if str(kept["key"]) != key:
                return 0, 0.0
            for name, variable in variables.items():
                variable.assign(kept[f"variable {name}"])
            return int(kept["steps"]), float(kept["loss"])

    def save(self, key: str, variables: Variables, steps: int, loss: float) -> None:
        """Replaces the file. A process that is killed leaves the earlier file or the new one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        staging = self._path.with_suffix(".new")
        with staging.open("wb") as file:
            values = {f"variable {name}": np.asarray(variable) for name, variable in variables.items()}
            np.savez(file, key=np.array(key), steps=np.array(steps), loss=np.array(loss), **values)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        staging.replace(self._path)
