"""Reads the file config.json of a Hugging Face checkpoint."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from undertone_model.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class Configuration:
    """Fields of a config.json. All methods raise CheckpointError, with the file and the value."""

    path: Path
    fields: dict[str, Any]

    def size(self, name: str, default: int) -> int:
        """A positive integer."""
        value = self.fields.get(name, default)
        if type(value) is not int or value <= 0:
            raise CheckpointError(f"{self.path}: {name} is {value!r}, expected a positive integer")
        return value

    def index(self, name: str, default: int) -> int:
        """An integer that is not negative."""
        value = self.fields.get(name, default)
        if type(value) is not int or value < 0:
            raise CheckpointError(f"{self.path}: {name} is {value!r}, expected 0 or a positive integer")
        return value

    def number(self, name: str, default: float) -> float:
        """A positive number."""
        value = self.fields.get(name, default)
        if type(value) not in (int, float) or value <= 0:
            raise CheckpointError(f"{self.path}: {name} is {value!r}, expected a positive number")
        return float(value)

    def choice(self, name: str, supported: Collection[Any], default: Any) -> Any:
        """The value of a field, which must be one of `supported`."""
        value = self.fields.get(name, default)
        if value not in supported:
            expected = " or ".join(map(repr, supported))
            raise CheckpointError(f"{self.path}: {name} is {value!r}; only {expected} is supported")
        return value


def read_configuration(path: Path) -> Configuration:
    """Reads a config.json. Raises CheckpointError if it is missing or damaged."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist; use the folder of a Hugging Face checkpoint") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    if not isinstance(fields, dict):
        raise CheckpointError(f"{path} is damaged: expected an object, found {type(fields).__name__}")
    return Configuration(path, fields)
