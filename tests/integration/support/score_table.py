"""The job's table in a SQLite catalogue, read by pyiceberg without Spark."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table
from sqlalchemy.exc import OperationalError
from undertone_client.jobs.catalog import CATALOG
from undertone_client.testing import EMOTIONS, expected_probabilities

NAME = "emotions.posts"


def load(warehouse: Path, name: str = NAME) -> Table:
    """A table. Raises NoSuchTableError."""
    catalog = SqlCatalog(CATALOG, uri=f"sqlite:///{warehouse / 'catalog.sqlite'}", init_catalog_tables="false")
    return catalog.load_table(name)


def commits(warehouse: Path) -> int:
    """The number of snapshots of the table that a reader sees or saw."""
    if not (warehouse / "catalog.sqlite").exists():
        return 0
    try:
        return len(load(warehouse).history())
    except (NoSuchTableError, OperationalError):  # the run has not created the table
        return 0


def rows(warehouse: Path, name: str = NAME) -> list[dict[str, Any]]:
    """The rows of a table."""
    found: list[dict[str, Any]] = load(warehouse, name).scan().to_arrow().to_pylist()
    return found


def read(warehouse: Path) -> dict[str, dict[str, Any]]:
    """The rows by id. Checks that ids are unique."""
    found = rows(warehouse)
    assert len(found) == len({row["id"] for row in found})
    return {row["id"]: row for row in found}


def assert_scores_of(warehouse: Path, texts: Mapping[str, str]) -> None:
    """Checks that the table has exactly the rows and scores of these texts by id."""
    found = read(warehouse)
    assert found.keys() == texts.keys()
    for ident, row in found.items():
        assert row["text_sha256"] == sha256(texts[ident].encode()).hexdigest()
        assert [row[emotion] for emotion in EMOTIONS] == pytest.approx(expected_probabilities(texts[ident]))
