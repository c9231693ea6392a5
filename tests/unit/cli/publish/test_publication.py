"""`undertone publish` and a real catalogue in SQLite."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import EqualTo
from pyiceberg.transforms import DayTransform
from undertone_cli.publish.publication import BUCKETS
from undertone_client.testing import FakeClassifier, ItemFault, expected_independent_probabilities
from undertone_protos.v1 import classifier_pb2

from tests.unit.cli.publish.conftest import NAME, MakeFolder
from tests.unit.cli.publish.tables import read, row, texts_of
from tests.unit.support.command import Command, read_manifest

Publish = Callable[..., str]
NOON = dt.datetime(2025, 3, 5, 12, tzinfo=dt.UTC)


def snapshots(catalog: Catalog, name: str = NAME) -> list[int]:
    return [each.snapshot_id for each in catalog.load_table(name).snapshots()]


def mark_deleted(catalog: Catalog, ident: object, at: dt.datetime) -> None:
    table = catalog.load_table(NAME)
    index = table.schema().as_arrow().names.index("deleted_at")
    rows = table.scan(row_filter=EqualTo("id", ident)).to_arrow()  # type: ignore[call-arg,arg-type]
    marked = rows.set_column(index, "deleted_at", pa.array([at], pa.timestamp("us", tz="UTC")))
    table.overwrite(marked.cast(table.schema().as_arrow()), EqualTo("id", ident))  # type: ignore[call-arg,arg-type]


def test_new_table_has_the_rows_and_the_layout_of_the_spark_job(
    catalog: Catalog, scored: MakeFolder, publish: Publish, lake: Path
) -> None:
    folder = scored([row(index, stars=index % 5) for index in range(40)], "--keep", "stars")
    assert publish(folder) == f"published to {NAME}: 40 added, 0 replaced, 0 unchanged\n"
    table = catalog.load_table(NAME)
    rows = read(catalog)
    source = pq.read_table(folder).sort_by("id")
    assert rows.select(source.schema.names).to_pylist() == source.to_pylist()
    assert rows["deleted_at"].null_count == 40
    assert rows.schema.names[-2:] == ["deleted_at", "stars"]
    assert (str(table.schema().find_type("id")), str(table.spec().fields[0].transform)) == ("long", f"bucket[{BUCKETS}]")
    assert str(lake) in table.location()
    assert table.properties["undertone.format"] == "1"
    (snapshot,) = table.snapshots()
    assert snapshot.summary is not None
    manifest = read_manifest(folder)
    assert snapshot.summary["undertone.mode"] == "publish"
    assert snapshot.summary["undertone.scored"] == "40"
    assert snapshot.summary["undertone.policy"] == manifest["policy"]
    assert str(snapshot.summary["undertone.run-id"]).startswith("score-")
    assert not catalog.table_exists(f"{NAME}_dead_letters")


def test_publishing_again_changes_nothing(catalog: Catalog, scored: MakeFolder, publish: Publish) -> None:
    folder = scored([row(index) for index in range(40)])
    publish(folder)
    before = catalog.load_table(NAME).metadata_location
    assert publish(folder) == f"nothing to publish: {NAME} has all 40 rows\n"
    assert catalog.load_table(NAME).metadata_location == before


def test_newer_rows_replace_older_ones_in_any_order(catalog: Catalog, scored: MakeFolder, publish: Publish) -> None:
    first = scored([row(index) for index in range(40)])
    second = scored([row(3, "Another text."), row(4), row(99)])
    publish(first)
    assert publish(second).endswith(": 1 added, 1 replaced, 1 unchanged\n")
    after = texts_of(read(catalog))
    assert set(after) == {*range(40), 99}
    assert after[3] == texts_of(pq.read_table(second))[3]
    output = publish(first)
    assert output == (
        f"nothing to publish: {NAME} has all 40 rows; 1 of the unchanged rows are newer in the table and differ\n"
    )
    assert publish(second, table="emotions.other").endswith(": 3 added, 0 replaced, 0 unchanged\n")
    publish(first, table="emotions.other")
    assert texts_of(read(catalog, "emotions.other")) == after


def test_kept_columns_and_documents_are_brought_up_to_date(catalog: Catalog, scored: MakeFolder, publish: Publish) -> None:
    publish(scored([row(1, stars=1), row(2, stars=2)]))
    keep = ("--keep", "stars")
    assert ": 0 added, 2 replaced" in publish(scored([row(1, stars=1), row(2, stars=2)], *keep))
    changed = scored([row(1, stars=1), row(2, stars=3)], *keep)
    assert ": 0 added, 1 replaced, 1 unchanged" in publish(changed)
    assert read(catalog)["stars"].to_pylist() == [1, 3]
    moved = scored([row(1, stars=1, book="c")], *keep)
    assert ": 0 added, 1 replaced" in publish(moved)
    assert read(catalog)["document"].to_pylist() == ["c", "b2"]


def test_rescored_rows_lose_their_mark(catalog: Catalog, scored: MakeFolder, publish: Publish) -> None:
    first = scored([row(1), row(2)])
    publish(first)
    mark_deleted(catalog, 1, dt.datetime.now(dt.UTC))
    assert "1 of the unchanged rows are newer" in publish(first)
    assert read(catalog)["deleted_at"].null_count == 1
    assert ": 0 added, 1 replaced, 0 unchanged" in publish(scored([row(1)]))
    assert read(catalog)["deleted_at"].null_count == 2


def test_wrong_clock_does_not_protect_a_row(catalog: Catalog, scored: MakeFolder, publish: Publish) -> None:
    publish(scored([row(1)]))
    mark_deleted(catalog, 1, dt.datetime.now(dt.UTC) + dt.timedelta(days=900))
    assert ": 0 added, 1 replaced" in publish(scored([row(1)]))
    assert read(catalog)["deleted_at"].null_count == 1


def test_new_emotions_and_columns_are_added(
    catalog: Catalog, scored: MakeFolder, publish: Publish, threaded_service: FakeClassifier
) -> None:
    publish(scored([row(1), row(2)]))
    labels = threaded_service.labels
    threaded_service.labels = (*labels[:-1], "awe")
    threaded_service.version = 2
    try:
        publish(scored([row(2, stars=4), row(3, stars=5)], "--keep", "stars"))
    finally:
        threaded_service.labels, threaded_service.version = labels, 1
    rows = read(catalog)
    names = rows.schema.names
    assert names[names.index("label") + 1 : names.index("tokens")] == [*labels, "awe"]
    assert names[-1] == "stars"
    assert rows["model_version"].to_pylist() == [1, 2, 2]
    assert rows["awe"].is_valid().to_pylist() == [False, True, True]
    assert rows[labels[-1]].is_valid().to_pylist() == [True, False, False]
    assert len(snapshots(catalog)) == 2


def test_a_table_of_an_earlier_release_gets_the_column_of_flags(
    catalog: Catalog, scored: MakeFolder, publish: Publish, threaded_service: FakeClassifier
) -> None:
    publish(scored([row(1), row(2)]))
    with catalog.load_table(NAME).update_schema() as update:
        update.delete_column("flags")
    threaded_service.flags = {"Foreign.": (classifier_pb2.FLAG_LANGUAGE,)}
    publish(scored([row(2, "Foreign."), row(3)]))
    rows = read(catalog)
    assert dict(zip(rows["id"].to_pylist(), rows["flags"].to_pylist(), strict=True)) == {1: None, 2: "language", 3: ""}
    assert rows.schema.names[rows.schema.names.index("truncated") :][:3] == ["truncated", "flags", "model_name"]


def test_models_of_both_kinds_share_a_table(
    catalog: Catalog, scored: MakeFolder, publish: Publish, threaded_service: FakeClassifier
) -> None:
    """With labels that need quotes in SQL."""
    threaded_service.labels = ("joy",)
    publish(scored([row(1), row(2)]))
    threaded_service.labels, threaded_service.thresholds = labels, _ = ("Joy / Élan", "a.b"), (0.25, 0.5)
    threaded_service.version = 2
    multi_label = scored(map(row, range(2, 20)))
    publish(multi_label)
    threaded_service.labels, threaded_service.thresholds, threaded_service.version = ("joy",), (), 3
    publish(scored([row(3)]))
    rows = read(catalog)
    assert rows.schema.names[3:9] == ["text_sha256", "labels_above_threshold", "label", "joy", *labels]
    found = {each["id"]: each for each in rows.to_pylist()}
    assert [found[ident]["labels_above_threshold"] for ident in (1, 3)] == [None, None]
    assert [found[ident]["a.b"] for ident in (1, 3)] == [None, None]
    for ident in (2, *range(4, 20)):
        probabilities = expected_independent_probabilities(f"The text of paragraph {ident}.", 2)
        assert (found[ident]["Joy / Élan"], found[ident]["a.b"], found[ident]["joy"]) == (*probabilities, None)
        above = [label for label, value, limit in zip(labels, probabilities, (0.25, 0.5), strict=True) if value >= limit]
        assert found[ident]["labels_above_threshold"] == above
    publish(multi_label, table="emotions.new")
    new = {each["id"]: each["labels_above_threshold"] for each in read(catalog, "emotions.new").to_pylist()}
    assert new == {ident: found[ident]["labels_above_threshold"] for ident in new} | {3: new[3]}
    assert publish(scored([row(3)])).startswith("nothing")


def test_a_label_that_differs_from_a_column_only_by_case(
    scored: MakeFolder, publish: Publish, threaded_service: FakeClassifier
) -> None:
    threaded_service.labels = ("joy",)
    publish(scored([row(1)]))
    threaded_service.labels = ("Joy",)
    output = publish(scored([row(2)]), code=2)
    assert "column 'Joy' differs from 'joy'" in output
    assert "rename the label in the model" in output


def test_types_of_columns(catalog: Catalog, scored: MakeFolder, publish: Publish) -> None:
    publish(scored([row(1, stars=1)], "--keep", "stars"))
    output = publish(scored([row("a", stars=1)], "--keep", "stars"), code=2)
    assert "the ids of the run have type string, but those of emotions.reviews have type long" in output
    assert "'stars' has type string in the run, but long in" in publish(scored([row(2, stars="x")], "--keep", "stars"), code=2)
    assert "'STARS' differs from 'stars'" in publish(scored([row(2, STARS=2)], "--keep", "STARS"), code=2)
    assert len(snapshots(catalog)) == 1


def test_integers_widen_a_column(catalog: Catalog, command: Command, publish: Publish, tmp_path: Path) -> None:
    for index, kind in enumerate((pa.int16(), pa.int64(), pa.int32())):
        source, out = tmp_path / f"{index}.parquet", tmp_path / f"out{index}"
        pq.write_table(pa.table({"text": ["A text."], "key": [index], "n": pa.array([7 + index], kind)}), source)
        assert command("score", source, "--out", out, "--id-column", "key", "--keep", "n").exit_code == 0
        publish(out)
    assert (read(catalog).schema.field("n").type, read(catalog)["n"].to_pylist()) == (pa.int64(), [7, 8, 9])


def test_dead_letters_with_string_ids(catalog: Catalog, scored: MakeFolder, publish: Publish) -> None:
    folder = scored([row("a"), {"key": "z", "book": "b", "text": None}], code=1)
    assert "1 dead letters" in publish(folder)
    assert read(catalog, f"{NAME}_dead_letters")["id"].to_pylist() == ["z"]
    assert publish(folder).startswith("nothing to publish")


def test_dead_letters(
    catalog: Catalog, scored: MakeFolder, publish: Publish, command: Command, threaded_service: Any, lake: Path
) -> None:
    rows = [row(index) for index in range(4)]
    fault = ItemFault(grpc.StatusCode.INVALID_ARGUMENT, "no", times=1)
    threaded_service.item_faults = {str(rows[0]["text"]): fault}
    folder = scored([*rows, {"key": 9, "book": "b", "text": None}], code=1)
    letters = f"{NAME}_dead_letters"
    assert publish(folder).endswith(f": 3 added, 0 replaced, 0 unchanged, 2 dead letters in {letters}\n")
    found = read(catalog, letters).to_pylist()
    assert [(each["id"], each["status"], each["reason"]) for each in found] == [
        (0, "INVALID_ARGUMENT", "no"),
        (9, "INVALID_ARGUMENT", "the text is null"),
    ]
    before = snapshots(catalog, letters)
    assert publish(folder) == f"nothing to publish: {NAME} has all 3 rows\n"
    assert snapshots(catalog, letters) == before
    replayed = command("replay", folder, "--table", NAME, "--warehouse", lake)
    assert (replayed.exit_code, replayed.output.splitlines()[-1]) == (
        1,
        f"published to {NAME}: 1 added, 0 replaced, 3 unchanged, 1 dead letters in {letters}",
    )
    assert read(catalog)["id"].to_pylist() == [0, 1, 2, 3]
    assert read(catalog, letters)["id"].to_pylist() == [9]
    assert publish(folder).startswith("nothing to publish")


@pytest.mark.parametrize("spec", ["day", "none"])
def test_tables_with_other_partitions(catalog: Catalog, scored: MakeFolder, publish: Publish, spec: str) -> None:
    publish(scored([row(0)]))
    table = catalog.load_table(NAME)
    with table.update_spec() as update:
        update.remove_field("id_bucket")
        if spec == "day":
            update.add_field("scored_at", DayTransform(), "scored_at_day")
    publish(scored([row(index) for index in range(30)]))
    assert ": 1 added, 1 replaced, 1 unchanged" in publish(scored([row(3, "New."), row(4), row(77)]))
    assert read(catalog)["id"].to_pylist() == [*range(30), 77]
    assert publish(scored([row(4)])).startswith("nothing")
