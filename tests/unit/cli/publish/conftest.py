"""Run folders of a fake service, and a catalogue in a temporary folder."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
from pyiceberg.catalog import Catalog
from undertone_cli.publish import open_catalog
from undertone_client.jobs.catalog import CatalogSettings

from tests.unit.support.command import Command

NAME = "emotions.reviews"
MakeFolder = Callable[..., Path]


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def catalog(lake: Path) -> Catalog:
    return open_catalog(CatalogSettings(warehouse=str(lake)))


@pytest.fixture
def scored(command: Command, tmp_path: Path) -> MakeFolder:
    """Scores rows into a new folder. Each row has the fields `key` and `text`."""
    numbers = iter(range(100))

    def make(rows: Iterable[Mapping[str, object]], *options: object, code: int = 0) -> Path:
        number = next(numbers)
        source, out = tmp_path / f"in{number}.jsonl", tmp_path / f"run{number}"
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
        arguments = ["--id-column", "key", "--document-column", "book", "--rows-per-part", 7, *options]
        result = command("score", source, "--out", out, *arguments)
        assert result.exit_code == code, result.output
        return out

    return make


@pytest.fixture
def publish(command: Command, lake: Path) -> Callable[..., str]:
    """Publishes a folder and returns the output."""

    def run(folder: Path, *, code: int = 0, table: str = NAME) -> str:
        result = command("publish", folder, "--table", table, "--warehouse", lake)
        assert result.exit_code == code, result.output
        return result.output

    return run
