"""The Spark job over real Parquet, a real session and a scripted service: what is scored, what is kept, and what is killed."""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import Row, SparkSession
from undertone_batch import Job, Order, RunMode, Service, Source, Summary, emotions, predict, read_scores
from undertone_batch.errors import TooManyFailedError
from undertone_batch.merge import ChangeCounts, change_counts
from undertone_batch.order import new_run
from undertone_batch.plan import Kind
from undertone_batch.table import Table
from undertone_batch.version import Bucket, Version
from undertone_client import LimitSettings, Mode, Settings, SettingsError
from undertone_client.errors import InputError, OutputError, UnavailableError
from undertone_client.testing import EMOTIONS, expected_probabilities

from tests.integration import spark_parts
from tests.integration.processes import until

pytestmark = spark_parts.needs_java

SETTINGS = Settings(mode=Mode.BATCH, limit=LimitSettings.fixed(2))
TOO_LONG = "word " * 20_000
DAY_1 = {str(number): f"Paragraph {number} as it was at first" for number in range(600)}
DAY_2 = {
    **{ident: text for ident, text in DAY_1.items() if int(ident) >= 10},
    "20": "This is another text than before",
    "21": "too short",
    "22": TOO_LONG,
    "new": "Nobody has read this one before",
    "long": TOO_LONG,
}


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    with spark_parts.spark_session(tmp_path_factory.mktemp("spark")) as session:
        yield session


@pytest.fixture(scope="module")
def service() -> Iterator[spark_parts.Service]:
    running = spark_parts.Service()
    yield running
    running.close()


@pytest.fixture
def order(service: spark_parts.Service, tmp_path: Path) -> Order:
    """Everything in `source` of the test's folder, into `table` there."""
    service.sent()
    service.fake.version = 1
    source = Source((str(tmp_path / "source"),), format="json")
    return Order(
        RunMode.DAILY, source, str(tmp_path / "table"), Service(service.target, SETTINGS), max_failed_share=1, bucket_count=3
    )


def write(order: Order, rows: Sequence[Mapping[str, object]] | dict[str, str]) -> None:
    """Make these paragraphs the source's."""
    if isinstance(rows, dict):
        rows = [{"id": ident, "text": text} for ident, text in rows.items()]
    folder = Path(order.source.locations[0])
    folder.mkdir(exist_ok=True)
    (folder / "rows.json").write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(spark: SparkSession, order: Order, **others: object) -> Summary:
    job = Job(spark, replace(order, **{"run": new_run(), **others}))
    job.run()
    return job.summary


def table(spark: SparkSession, order: Order) -> dict[str, Row]:
    """The rows by id; none of an id twice."""
    rows = read_scores(spark, order.table, deleted=True).collect()
    assert max(Counter(row.id for row in rows).values()) == 1
    return {row.id: row for row in rows}


def assert_right(row: Row, text: str, version: int = 1) -> None:
    assert row.text_sha256 == sha256(text.encode()).hexdigest()
    assert [row[emotion] for emotion in EMOTIONS] == pytest.approx(expected_probabilities(text))
    assert (row.model_name, row.model_version, row.precision, row.policy) == ("fake", version, "fp32", "chunk-mean")


def dead_letters(order: Order) -> dict[str, dict[str, object]]:
    lines = [line for file in Path(order.table).glob("dead-letters/*/*.json") for line in file.read_text().splitlines()]
    return {letter["id"]: letter for letter in map(json.loads, lines)}


def test_days_of_a_table(spark: SparkSession, service: spark_parts.Service, order: Order) -> None:
    write(order, DAY_1)
    first = run(spark, order, mode=RunMode.BACKFILL)
    assert (first.scored, first.failed, first.rows) == (600, 0, 600)
    assert sorted(service.sent()) == sorted(DAY_1.values())
    for ident, row in table(spark, order).items():
        assert_right(row, DAY_1[ident])

    again = run(spark, order)
    assert again.kinds == {Kind.CURRENT: 600}
    assert again.version == first.version
    assert service.sent() == []

    write(order, DAY_2)
    second = run(spark, order)
    assert second.kinds == {Kind.CURRENT: 587, Kind.NEW: 2, Kind.MUTATED: 2, Kind.DELETED: 11}
    assert sorted(service.sent()) == sorted([DAY_2["20"], DAY_2["new"]])
    rows = table(spark, order)
    assert {ident for ident, row in rows.items() if row.deleted_at} == {*map(str, range(10)), "21", "22"}
    assert "long" not in rows
    for ident in DAY_2.keys() - {"21", "22", "long"}:
        assert_right(rows[ident], DAY_2[ident])
    assert second.failed == 2
    letters = dead_letters(order)
    assert letters.keys() == {"22", "long"}
    assert letters["long"]["status"] == "INVALID_ARGUMENT"
    assert letters["long"]["text_sha256"] == sha256(TOO_LONG.encode()).hexdigest()
    assert "word" not in json.dumps(letters)

    write(order, DAY_1)
    third = run(spark, order)
    assert third.kinds == {Kind.CURRENT: 587, Kind.RESTORED: 12, Kind.MUTATED: 1, Kind.DELETED: 1}
    assert service.sent() == [DAY_1["20"]]

    service.fake.version = 2
    fourth = run(spark, order)
    assert fourth.kinds == {Kind.OUTDATED: 600, Kind.GONE: 1}
    assert sorted(service.sent()) == sorted(DAY_1.values())
    rows = table(spark, order)
    for ident, text in DAY_1.items():
        assert_right(rows[ident], text, version=2)
    assert rows["new"].model_version == 1
    assert read_scores(spark, order.table).count() == 600
    summary = json.loads((Path(order.table) / "runs" / f"{fourth.run}.json").read_text())
    assert (summary["outcome"], summary["scored"], summary["version"]) == ("succeeded", 600, fourth.version)
    asked_by_driver = 1  # for its model
    assert summary["calls"]["attempts"] == {"OK": len(service.calls) - asked_by_driver}
    assert sum(executor["scored"] for executor in summary["executors"].values()) == 600


def test_killed_workers_lose_and_double_nothing(spark: SparkSession, service: spark_parts.Service, order: Order) -> None:
    texts = {str(number): f"Paragraph {number} of many more" for number in range(2000)}
    write(order, texts)
    service.shut_gate()
    job = Job(spark, order)
    running = threading.Thread(target=job.run)
    running.start()
    for _ in range(2):  # the attempts of both tasks, and then their second attempts
        service.until_in_flight(4)
        for worker in spark_parts.python_workers(spark):
            os.kill(worker, signal.SIGKILL)
        until(lambda: service.fake.in_flight == 0, "the calls of the killed are gone")
    service.open_gate()
    running.join()
    assert job.summary.error is None
    assert (job.summary.scored, job.summary.failed, job.summary.rows) == (2000, 0, 2000)
    assert len(service.sent()) > len(texts)
    rows = table(spark, order)
    assert rows.keys() == texts.keys()
    for ident, row in rows.items():
        assert_right(row, texts[ident])


def test_a_backfill_that_was_stopped_goes_on_where_it_was(
    spark: SparkSession, service: spark_parts.Service, order: Order
) -> None:
    texts = {str(number): f"Paragraph {number} for a backfill" for number in range(300)}
    write(order, texts | {"long": TOO_LONG})
    order = replace(order, mode=RunMode.BACKFILL, wave_rows=1)
    with pytest.raises(TooManyFailedError, match="1 paragraphs have no score"):
        run(spark, order, max_failed_share=0)
    before = read_scores(spark, order.table).count()
    assert before < 300
    assert len(service.sent()) == before
    summary = run(spark, order, mode=RunMode.DAILY, wave_rows=1000)
    assert summary.kinds == {Kind.CURRENT: before, Kind.NEW: 301 - before}
    assert len(service.sent()) == 300 - before
    summary = run(spark, order)
    assert summary.kinds == {Kind.CURRENT: 300, Kind.NEW: 1}
    assert service.sent() == []
    assert table(spark, order).keys() == texts.keys()
    write(order, texts)
    assert run(spark, order).kinds == {Kind.REPEATED: 300}
    assert sorted(service.sent()) == sorted(texts.values())


def test_what_cannot_be_scored_becomes_a_dead_letter(spark: SparkSession, service: spark_parts.Service, order: Order) -> None:
    write(
        order,
        [
            {"id": "good", "text": "There is nothing wrong with this"},
            {"id": "good", "text": "There is nothing wrong with this"},
            {"id": "two", "text": "One id for this text, and"},
            {"id": "two", "text": "the same id for that text"},
            {"id": "no text", "text": None},
            {"id": None, "text": "This one has a text, but no id"},
            {"id": "short", "text": "          ha          "},
        ],
    )
    summary = run(spark, order)
    assert summary.kinds == {Kind.NEW: 1, Kind.INVALID: 4, Kind.SHORT: 1}
    assert summary.duplicates == 1
    assert summary.failed_share == 0.8
    assert service.sent() == ["There is nothing wrong with this"]
    assert table(spark, order).keys() == {"good"}
    letters = dead_letters(order)
    assert {letters[ident]["reason"] for ident in ("two", "no text")} == {
        "the id stands for several texts in the source",
        "the text is null",
    }
    assert len(letters) == 3


def test_bytes_of_all_kinds(spark: SparkSession, service: spark_parts.Service, order: Order) -> None:
    rows = [
        (b"good", b"There is nothing wrong with this"),
        (b"huge", b"word " * 2_000_000),
        (b"text", b"not \xff in UTF-8, whatever it is"),
        ("a\ufffd".encode(), b"An odd id, but an id all the same"),
        (b"a\xff", b"An id that is not, and a text"),
        (b"a\xfe", b"Another that is not, and a text"),
        *[
            (None, text)
            for text in (b"A text without an id", b"Another, which is there twice", b"Another, which is there twice")
        ],
    ]
    folder = Path(order.source.locations[0])
    folder.mkdir()
    columns = {"id": [ident for ident, _ in rows], "text": [text for _, text in rows]}
    pq.write_table(pa.table(columns, pa.schema({"id": pa.binary(), "text": pa.binary()})), folder / "rows.parquet")
    summary = run(spark, order, source=replace(order.source, format="parquet"))
    assert (summary.kinds, summary.duplicates) == ({Kind.NEW: 3, Kind.INVALID: 6}, 0)
    assert (summary.scored, summary.failed) == (2, 7)
    assert table(spark, order).keys() == {"good", "a\ufffd"}
    lines = [line for file in Path(order.table).glob("dead-letters/*/*.json") for line in file.read_text().splitlines()]
    letters = sorted((str(letter["id"]), letter["reason"].partition(" bytes")[0]) for letter in map(json.loads, lines))
    assert letters == [
        ("None", "the id is not UTF-8: X'61FE'"),
        ("None", "the id is not UTF-8: X'61FF'"),
        ("None", "the id is null"),
        ("None", "the id is null"),
        ("huge", "10000000"),
        ("text", "the text is not UTF-8"),
    ]


def test_a_paragraph_that_fails_every_day_fails_no_day(spark: SparkSession, order: Order) -> None:
    write(order, {str(number): f"Paragraph {number} of every day" for number in range(120)} | {"long": TOO_LONG})
    for scored in (120, 0):
        summary = run(spark, order, max_failed_share=0.01)
        assert (summary.scored, summary.failed, summary.failed_share) == (scored, 1, 1 / 121)


def test_what_another_run_is_writing_is_left_to_it(spark: SparkSession, tmp_path: Path) -> None:
    kept = Table(spark, str(tmp_path))
    first = Version(1, 4, (), "one", datetime(2026, 3, 1, tzinfo=UTC), None, {0: Bucket(1, ("data/00000001-one/part",))})
    kept.commit(first)
    kept.commit(first.followed_by({}, "two", first.committed_at))
    for folder in ("00000001-one", "00000001-dead", "00000002-two", "00000003-another"):
        for parent in ("data", "staging"):
            (tmp_path / parent / folder).mkdir(parents=True)
    kept.tidy("three")
    assert {folder.name for folder in (tmp_path / "data").iterdir()} == {"00000001-one", "00000003-another"}
    assert {folder.name for folder in (tmp_path / "staging").iterdir()} == {"00000003-another"}


def test_rows_that_are_staged_twice_are_noticed(spark: SparkSession) -> None:
    once = (
        "('a', 0, 'new', 'OK', 1L), (NULL, 0, 'invalid', 'INVALID_ARGUMENT', 2L), (NULL, 0, 'invalid', 'INVALID_ARGUMENT', 1L)"
    )
    columns = "AS changes(id, bucket, kind, status, copies)"
    assert change_counts(spark.sql(f"VALUES {once} {columns}")) == ChangeCounts(1, 3, {0: 1})
    with pytest.raises(OutputError, match="1 of 2 changes were written more than once"):
        change_counts(spark.sql(f"VALUES {once}, ('a', 0, 'new', 'UNAVAILABLE', 1L) {columns}"))


def test_another_model_in_the_middle_of_a_run(spark: SparkSession, service: spark_parts.Service, order: Order) -> None:
    write(order, {str(number): f"Paragraph {number} between two models" for number in range(40)})
    service.shut_gate()
    job = Job(spark, order)
    running = threading.Thread(target=job.run)
    running.start()
    service.until_in_flight(1)
    service.fake.version = 2
    service.open_gate()
    running.join()
    assert (job.summary.scored, job.summary.failed) == (0, 40)
    letter = dead_letters(order)["7"]
    assert letter["status"] == "FAILED_PRECONDITION"
    assert letter["reason"] == "scored by fake version 2 fp32; this run is for fake version 1 fp32"


def test_mistakes_leave_everything_as_it_was(spark: SparkSession, service: spark_parts.Service, order: Order) -> None:
    with pytest.raises(InputError, match="cannot be read as json"):
        run(spark, order)
    write(order, [{"name": "1", "text": "A paragraph without an id"}])
    with pytest.raises(InputError, match="no column 'id'; there are: 'name', 'text'"):
        run(spark, order)
    with pytest.raises(InputError, match="cannot be read as nonsense"):
        run(spark, order, source=replace(order.source, format="nonsense"))
    write(order, [])
    with pytest.raises(InputError, match="no column 'id'; there are: none"):
        run(spark, order)
    with pytest.raises(InputError, match="cannot be read as parquet"):
        run(spark, order, source=replace(order.source, format="parquet"))
    write(order, [{"id": "1", "text": 5}])
    with pytest.raises(InputError, match=r"source: the column 'text' is of type bigint; .* Name another with --text-column"):
        run(spark, order)
    write(order, {"1": "A paragraph that nobody asks for"})
    with pytest.raises(UnavailableError):
        run(spark, order, service=Service("127.0.0.1:1", SETTINGS))
    with pytest.raises(OutputError, match=r"/proc/table/.* cannot be used"):  # where not even root can write
        run(spark, order, table="/proc/table")
    assert service.sent() == []
    assert not Path(order.table).exists()
    with pytest.raises(OutputError, match="there is no table of scores"):
        read_scores(spark, order.table)
    Path(order.table).write_text("a file, where a folder should be")
    with pytest.raises(OutputError):
        run(spark, order)


def test_predict_overwrites_no_column(spark: SparkSession, service: spark_parts.Service) -> None:
    frame = spark.sql("VALUES (1, 'A paragraph in a frame', 'joy') AS frame(number, review, Label)")
    with pytest.raises(SettingsError, match="has a column 'Label', and predict adds one of this name; rename it"):
        predict(frame, Service(service.target, SETTINGS), text="review")


def test_emotions_of_anybodys_frame(spark: SparkSession, service: spark_parts.Service) -> None:
    frame = spark.sql("VALUES (1, 'A paragraph in a frame'), (2, NULL), (3, CAST(X'66FF' AS STRING)) AS frame(number, review)")
    scored = frame.select("number", emotions("review", Service(service.target, SETTINGS)).alias("emotions")).collect()
    found = {row.number: row.emotions for row in scored}
    assert found[1].label == max(found[1].probabilities, key=found[1].probabilities.get)
    assert [found[1].probabilities[emotion] for emotion in EMOTIONS] == pytest.approx(
        expected_probabilities("A paragraph in a frame")
    )
    assert (found[1].status, found[1].reason) == ("OK", None)
    assert (found[2].label, found[2].status, found[2].reason) == (None, "INVALID_ARGUMENT", "the text is null")
    assert (found[3].probabilities, found[3].reason) == (None, "the text is not UTF-8 at byte 1")
