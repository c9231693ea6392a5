"""The commands `undertone publish` and `undertone score --table`, and what they refuse."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog import Catalog
from undertone_cli.publish import open_catalog
from undertone_client.errors import SettingsError
from undertone_client.jobs.catalog import CatalogSettings, CatalogType
from undertone_client.testing import FakeClassifier

from tests.unit.cli.publish.conftest import NAME, MakeFolder
from tests.unit.cli.publish.tables import read, row
from tests.unit.support.command import Command, read_manifest

Publish = Callable[..., str]


def test_folder_without_rows(catalog: Catalog, scored: MakeFolder, publish: Publish) -> None:
    assert publish(scored([])) == f"nothing to publish: {NAME} has all 0 rows\n"
    assert publish(scored([{"key": 1, "book": "b", "text": None}], code=1)).endswith(f"1 dead letters in {NAME}_dead_letters\n")
    assert not catalog.table_exists(NAME)


def test_folder_with_an_id_twice(scored: MakeFolder, publish: Publish) -> None:
    folder = scored([row(index) for index in range(10)])
    rows = pq.read_table(folder / "part-00000.parquet")
    pq.write_table(pa.concat_tables([rows, rows.slice(2, 1)]), folder / "part-00000.parquet")
    assert "more than one row with the id 2" in publish(folder, code=2)


def test_folder_that_cannot_be_published(scored: MakeFolder, publish: Publish, tmp_path: Path, lake: Path) -> None:
    before = set(lake.rglob("*"))
    assert "has no _run.json" in publish(tmp_path, code=2)
    assert set(lake.rglob("*")) == before
    folder = scored([row(1)])
    manifest = read_manifest(folder)
    (folder / "_run.json").write_text(json.dumps({**manifest, "complete": False}))
    assert "is not complete; run the same `undertone score` again" in publish(folder, code=2)


def test_another_table_is_refused(catalog: Catalog, scored: MakeFolder, publish: Publish) -> None:
    catalog.create_namespace("emotions")
    catalog.create_table(NAME, pa.schema([("id", pa.int64()), ("text", pa.string())]))
    assert f"{NAME} is not a table of scores: it has no column 'document'" in publish(scored([row(1)]), code=2)


def test_score_publishes_at_its_end(command: Command, catalog: Catalog, tmp_path: Path, lake: Path) -> None:
    source, out = tmp_path / "a.jsonl", tmp_path / "out"
    source.write_text("".join(json.dumps(row(index)) + "\n" for index in range(3)))
    arguments = ["score", source, "--out", out, "--id-column", "key", "--table", NAME, "--warehouse", lake]
    result = command(*arguments)
    assert (result.exit_code, f"published to {NAME}: 3 added" in result.output) == (0, True), result.output
    assert read(catalog)["id"].to_pylist() == [0, 1, 2]
    assert "nothing to publish" in command(*arguments).output
    _, published = command(*arguments, "--json").stdout.splitlines()
    assert json.loads(published) == {
        "event": "published",
        "table": NAME,
        "added": 0,
        "replaced": 0,
        "unchanged": 3,
        "newer": 0,
        "snapshot": None,
        "dead_letters": None,
    }


def test_score_checks_the_table_before_it_sends_anything(
    command: Command, scored: MakeFolder, publish: Publish, tmp_path: Path, lake: Path, threaded_service: FakeClassifier
) -> None:
    publish(scored([row(1)]))
    threaded_service.calls.clear()
    source = tmp_path / "a.csv"
    source.write_text("key,text\na,A text.\n")
    result = command("score", source, "--out", tmp_path / "out", "--id-column", "key", "--table", NAME, "--warehouse", lake)
    assert (result.exit_code, "the ids of the run have type string" in result.output) == (2, True)
    assert not any(call.ids for call in threaded_service.calls)
    assert not (tmp_path / "out").exists()


def test_hadoop_is_refused(command: Command, scored: MakeFolder, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="hadoop is only for Spark"):
        open_catalog(CatalogSettings(CatalogType.HADOOP, warehouse=str(tmp_path)))
    result = command("publish", scored([row(1)]), "--table", NAME, "--warehouse", tmp_path, "--catalog-type", "hadoop")
    assert (result.exit_code, "use --catalog-type sqlite" in result.output) == (2, True)


def test_unreachable_catalogue_is_an_error(command: Command, scored: MakeFolder) -> None:
    arguments = ["--catalog-type", "rest", "--catalog-uri", "http://127.0.0.1:9/"]
    result = command("publish", scored([row(1)]), "--table", NAME, *arguments)
    assert (result.exit_code, "the catalogue of type rest cannot be opened" in result.output) == (2, True)


def test_replay_checks_the_table_before_it_sends_anything(
    command: Command, scored: MakeFolder, publish: Publish, lake: Path, threaded_service: FakeClassifier
) -> None:
    publish(scored([row("a")]))
    folder = scored([row(1), {"key": 2, "book": "b", "text": None}], code=1)
    threaded_service.calls.clear()
    result = command("replay", folder, "--table", NAME, "--warehouse", lake)
    assert (result.exit_code, "the ids of the run have type long" in result.output) == (2, True), result.output
    assert not threaded_service.calls
