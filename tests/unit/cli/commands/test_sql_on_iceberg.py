"""`undertone sql` and `undertone compare` on an Iceberg table in a SQLite catalogue."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.types import FloatType
from undertone_cli.sql.iceberg import IcebergDataset
from undertone_client.jobs.catalog import CATALOG

from tests.unit.support.command import Command
from tests.unit.support.score_rows import Failed, Scored, dead_letters_table, scores_table

BEFORE = [Scored("1", (1.0, 0.0, 0.0)), Scored("2", (0.0, 1.0, 0.0)), Scored("3", (0.0, 0.0, 1.0), deleted=True)]


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def catalog(warehouse: Path) -> Iterator[Catalog]:
    """A table with two snapshots. The second changes the label of one paragraph."""
    warehouse.mkdir()
    catalog = load_catalog(CATALOG, type="sql", uri=f"sqlite:///{warehouse}/catalog.sqlite", warehouse=f"file://{warehouse}")
    catalog.create_namespace("emotions")
    scores = scores_table(BEFORE)
    table = catalog.create_table("emotions.stories", schema=scores.schema)
    table.append(scores)
    table.overwrite(scores_table([replace(BEFORE[0], probabilities=(0.0, 1.0, 0.0)), *BEFORE[1:]]))
    letters = dead_letters_table([Failed("4")])
    catalog.create_table("emotions.stories_dead_letters", schema=letters.schema).append(letters)
    yield catalog
    catalog.close()


def rows(command: Command, *arguments: object) -> list[dict[str, str]]:
    result = command(*arguments, "--format", "csv")
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_views_read_the_table_and_its_dead_letters(command: Command, catalog: Catalog, warehouse: Path) -> None:
    [row] = rows(command, "sql", "--view", "coverage", "emotions.stories", "--warehouse", warehouse)
    assert (row["scored"], row["deleted"], row["dead_letters"]) == ("2", "1", "1")


def test_an_older_snapshot(command: Command, catalog: Catalog, warehouse: Path) -> None:
    first, *_ = catalog.load_table("emotions.stories").history()
    query = ("sql", "SELECT label FROM scores WHERE id = '1'", "emotions.stories", "--warehouse", warehouse)
    assert rows(command, *query) == [{"label": "Calm sea"}]
    assert rows(command, *query, "--as-of", first.snapshot_id) == [{"label": "joy"}]
    time = datetime.fromtimestamp(first.timestamp_ms / 1000, UTC).isoformat()
    assert rows(command, *query, "--as-of", time) == [{"label": "joy"}]
    result = command(*query, "--as-of", "2020-01-01")
    assert (result.exit_code, "no snapshot as of 2020-01-01" in result.output) == (2, True)


def test_two_snapshots_are_compared(command: Command, catalog: Catalog, warehouse: Path) -> None:
    first = catalog.load_table("emotions.stories").history()[0].snapshot_id
    arguments = ("compare", "emotions.stories", "--as-of", first, "--warehouse", warehouse)
    [row] = rows(command, *arguments, "--view", "changes")
    assert (row["compared"], row["flipped"]) == ("2", "1")


def test_views_have_the_labels_of_both_snapshots(command: Command, catalog: Catalog, warehouse: Path) -> None:
    table = catalog.load_table("emotions.stories")
    first = table.history()[0].snapshot_id
    multi_label = scores_table([replace(BEFORE[0], above_threshold=("joy",))], multi_label=True)
    with table.update_schema() as update:
        update.union_by_name(multi_label.schema)
        update.add_column("new label", FloatType())
        update.move_before("new label", "tokens")
    table.append(multi_label)
    arguments = ("views", "emotions.stories", "--warehouse", warehouse)
    statements = command(*arguments, "--before-snapshot", first).output
    assert 'scores."new label"' in statements
    assert "scores.labels_above_threshold" in statements
    assert 'scores_before."new label"' not in statements
    assert "scores_before.labels_above_threshold" not in statements
    refused = command(*arguments, "--multi-label")
    assert (refused.exit_code, "--multi-label describes the table of --label" in refused.output) == (2, True)
    result = command("views", "emotions.stories", "--label", "joy", "--multi-label", "--before", "emotions.older")
    assert "scores_before.labels_above_threshold" in result.output
    [row] = rows(command, "top", "joy", *arguments[1:], "--limit", "1")
    assert row["has_label"] == "true"


def test_a_scan_reads_only_the_columns_of_the_query(catalog: Catalog) -> None:
    table = catalog.load_table("emotions.stories")
    selected = []

    class Spy:
        def scan(self, **options: Any) -> Any:
            selected.append(options["selected_fields"])
            return table.scan(**options)

    dataset = IcebergDataset(Spy(), None)
    assert dataset.scanner(columns=["label"]).to_table().column_names == ["label"]
    assert selected == [("*",), ("label",)]


@pytest.mark.parametrize("name", ["emotions.nothing", "nowhere.stories"])
def test_a_missing_table(command: Command, catalog: Catalog, warehouse: Path, name: str) -> None:
    result = command("sql", "SELECT 1", name, "--warehouse", warehouse)
    assert (result.exit_code, f"no table {name}" in result.output) == (2, True)


def test_a_missing_warehouse_is_not_created(command: Command, tmp_path: Path) -> None:
    result = command("sql", "SELECT 1", "emotions.stories", "--warehouse", tmp_path / "none")
    assert (result.exit_code, "does not exist" in result.output) == (2, True)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("folder", ["metadata", "data"])
def test_a_lost_file_of_the_table_is_one_line(command: Command, catalog: Catalog, warehouse: Path, folder: str) -> None:
    for path in (warehouse / "emotions" / "stories" / folder).iterdir():
        path.unlink()
    result = command("sql", "SELECT label FROM scores", "emotions.stories", "--warehouse", warehouse)
    assert result.exit_code == 2, result.output
    assert "No such file" in result.output
    assert 'File "' not in result.output


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--catalog-type", "rest", "--catalog-uri", "http://127.0.0.1:9"), "Connection refused"),
        (("--catalog-type", "hive", "--catalog-uri", "thrift://127.0.0.1:9"), "pyiceberg[hive]"),
        (("--catalog-type", "glue"), "You must specify a region"),
    ],
)
def test_a_catalogue_that_does_not_answer(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: tuple[str, ...], reason: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    result = command("sql", "SELECT 1", "emotions.stories", *options)
    assert (result.exit_code, reason in result.output) == (2, True), result.output


def test_a_damaged_catalogue(command: Command, warehouse: Path) -> None:
    warehouse.mkdir()
    (warehouse / "catalog.sqlite").write_text("not a database " * 100)
    result = command("sql", "SELECT 1", "emotions.stories", "--warehouse", warehouse)
    assert (result.exit_code, "file is not a database" in result.output) == (2, True), result.output
