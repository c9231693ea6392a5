"""The files of a table as `kill -9` of the driver would leave them at each step of a run.

A killed process loses nothing that it has written. So a copy of the files between two statements is
what a driver that is killed there leaves behind. In a statement, Iceberg writes the files of its
commit before it changes the catalogue. So a driver that is killed there leaves the new files and
the old catalogue.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Final

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.readwriter import DataFrameWriterV2

STATEMENTS: Final[tuple[tuple[type, str], ...]] = (
    (SparkSession, "sql"),
    (DataFrameWriterV2, "create"),
    (DataFrameWriterV2, "append"),
)
"""Everything by which the job changes a catalogue."""


@dataclass(frozen=True, slots=True)
class Image:
    """The catalogue and the files after a statement."""

    statement: str
    catalog: str
    files: frozenset[Path]


@dataclass(slots=True)
class CrashImages:
    """Copies of a warehouse with a SQLite catalogue.

    Attributes:
        warehouse: The warehouse.
        copies: A folder on the same disk. Files of Iceberg never change, so hard links suffice.
        images: Different states, in the order of the run.
    """

    warehouse: Path
    copies: Path
    images: list[Image] = field(default_factory=list)

    def take(self, statement: str) -> None:
        """Copies the present state, unless it equals the last one."""
        if not (self.warehouse / "catalog.sqlite").exists():
            return
        with closing(sqlite3.connect(self.warehouse / "catalog.sqlite")) as catalog:
            content = "".join(catalog.iterdump())
        files = frozenset(
            file.relative_to(self.warehouse)
            for file in self.warehouse.rglob("*")
            if file.is_file() and not file.name.startswith("catalog.sqlite")
        )
        image = Image(statement, content, files)
        if self.images and (self.images[-1].catalog, self.images[-1].files) == (image.catalog, image.files):
            return
        for name in files:
            if not (self.copies / name).exists():
                (self.copies / name).parent.mkdir(parents=True, exist_ok=True)
                (self.copies / name).hardlink_to(self.warehouse / name)
        self.images.append(image)

    def kills(self) -> list[Image]:
        """A state for each state of the catalogue, with all files up to its next change."""
        states: list[Image] = []
        for image, following in zip(self.images, [*self.images[1:], self.images[-1]], strict=True):
            if states and states[-1].catalog == image.catalog:
                states.pop()
            states.append(Image(image.statement, image.catalog, image.files | following.files))
        return states

    def restore(self, image: Image) -> None:
        """Makes the warehouse equal to an image. Open connections to the catalogue remain valid."""
        for entry in self.warehouse.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
        for name in image.files:
            (self.warehouse / name).parent.mkdir(parents=True, exist_ok=True)
            (self.warehouse / name).hardlink_to(self.copies / name)
        with closing(sqlite3.connect(":memory:")) as old, closing(sqlite3.connect(self.warehouse / "catalog.sqlite")) as new:
            old.executescript(image.catalog)
            old.backup(new)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Takes an image before and after each statement in the body."""
        with pytest.MonkeyPatch.context() as patch:
            for owner, name in STATEMENTS:
                patch.setattr(owner, name, self._around(getattr(owner, name)))
            yield

    def _around(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def run(*arguments: Any, **options: Any) -> Any:
            text = next((one for one in arguments if isinstance(one, str)), method.__name__)
            self.take(f"before {text[:40]}")
            result = method(*arguments, **options)
            self.take(f"after {text[:40]}")
            return result

        return run
