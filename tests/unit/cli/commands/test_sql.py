"""`undertone sql`, `top`, `compare`, `sample` and `views` on folders of scores."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from undertone_cli.analytics import VIEWS, views
from undertone_cli.view_names import COMPARISONS, VIEW_NAMES
from undertone_client.values import Model

from tests.unit.support.command import Command
from tests.unit.support.scored_folder import LABELS, Point, ScoredFolder

Rows = Callable[..., list[dict[str, str]]]


@pytest.fixture
def folder(scored: ScoredFolder, point: Point) -> Path:
    scored.add("a", point("joy", 0.9))
    scored.add("a", point("fear", 0.5))
    scored.add("b", point("joy", 0.7))
    scored.fail("c/0000", "INVALID_ARGUMENT", "too long")
    return scored.write()


@pytest.fixture
def newer(tmp_path: Path, point: Point) -> Path:
    scored = ScoredFolder(tmp_path / "newer", model=Model("emotions", 2, "fp32"))
    scored.add("a", point("joy", 0.9))
    scored.add("a", point("sadness", 0.5))
    scored.add("b", point("joy", 0.7))
    return scored.write()


@pytest.fixture
def rows(command: Command) -> Rows:
    """The rows that a command prints as CSV."""

    def run(*arguments: object) -> list[dict[str, str]]:
        result = command(*arguments, "--format", "csv")
        assert result.exit_code == 0, result.output
        return list(csv.DictReader(io.StringIO(result.stdout)))

    return run


def test_names_of_views_are_those_of_the_files() -> None:
    files = {file.stem for file in (Path(views.__file__).parent / "sql").iterdir() if file.suffix == ".sql"}
    assert files == {*VIEW_NAMES, *COMPARISONS}
    assert {name for name, view in VIEWS.items() if view.compares} == set(COMPARISONS)


def test_a_query(rows: Rows, folder: Path) -> None:
    query = "SELECT label, COUNT(*) AS n FROM scores GROUP BY label ORDER BY label"
    assert rows("sql", query, folder) == [{"label": "fear", "n": "1"}, {"label": "joy", "n": "2"}]


@pytest.mark.parametrize("view", VIEW_NAMES)
def test_each_view_has_rows(rows: Rows, folder: Path, view: str) -> None:
    found = rows("sql", "--view", view, folder)
    assert found
    assert list(found[0]) == list(VIEWS[view].columns)


def test_a_pattern_and_a_single_file(rows: Rows, folder: Path) -> None:
    for source in (folder / "part-*.parquet", folder / "part-00000.parquet"):
        assert rows("sql", "SELECT COUNT(*) AS n FROM scores", source) == [{"n": "3"}]


def test_json_has_numbers(command: Command, folder: Path) -> None:
    result = command("sql", "--view", "coverage", folder, "--format", "json")
    row = json.loads(result.stdout)
    assert (row["scored"], row["dead_letters"], row["coverage"]) == (3, 1, 0.75)


def test_parquet_output(command: Command, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "joy.parquet"
    query = "FROM emotions_long WHERE emotion = 'joy' ORDER BY id"
    assert command("sql", query, folder, "--output", output).exit_code == 0
    assert pq.read_table(output)["id"].to_pylist() == ["a/0000", "a/0001", "b/0000"]


def test_a_failed_query_leaves_the_output_as_it_was(command: Command, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    output.write_text("old")
    assert command("sql", "SELECT error('no') FROM scores", folder, "--output", output).exit_code == 2
    assert (output.read_text(), sorted(path.name for path in tmp_path.glob("*out*"))) == ("old", ["out.csv"])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT nothing FROM scores", "nothing"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("", "0 statements"),
        ("DROP VIEW scores", "read only"),
        ("COPY scores TO 'stolen.csv'", "read only"),
        ("SET enable_external_access = true", "read only"),
        ("ATTACH 'other.db'", "read only"),
        ("INSTALL httpfs", "read only"),
        ("SELECT * FROM read_text('/etc/hostname')", "disabled by configuration"),
        ("SELECT * FROM read_csv('https://127.0.0.1:1/x')", "disabled by configuration"),
        ("SELECT * FROM '/etc/hostname'", "does not exist"),
        ("SELECT * FROM reader", "does not exist"),  # a variable of the program
    ],
)
def test_bad_and_forbidden_queries(command: Command, folder: Path, query: str, message: str) -> None:
    result = command("sql", query, folder)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sql", "SELECT 1"], "number of arguments is 1"),
        (["sql", "--view", "nope", "FOLDER"], "use one of paragraphs"),
        (["sql", "--view", "changes", "FOLDER"], "undertone compare"),
        (["sql", "SELECT 1", "FOLDER", "--as-of", "2026-01-01"], "remove it"),
        (["sql", "SELECT 1", "FOLDER", "--memory-limit", "much"], "--memory-limit 'much' is invalid"),
        (["sql", "SELECT 1", "FOLDER", "--baseline", "2026"], "FIRST/LAST"),
        (["sql", "SELECT 1", "FOLDER", "--format", "parquet"], "set --output"),
        (["sql", "SELECT 1", "nowhere/at-all"], "does not exist"),
        (["sql", "SELECT 1", "s3://bucket/x"], "is not local"),
        (["sql", "SELECT 1", "emotions.stories"], "set --warehouse"),
        (["top", "rage", "FOLDER"], "use one of joy"),
        (["compare", "FOLDER"], "give BEFORE and AFTER"),
        (["compare", "FOLDER", "FOLDER", "--format", "csv"], "choose --view"),
    ],
)
def test_usage_errors(command: Command, folder: Path, arguments: list[str], message: str) -> None:
    result = command(*(folder if argument == "FOLDER" else argument for argument in arguments))
    assert result.exit_code == 2
    assert message in result.output


def test_a_set_warehouse_does_not_matter_to_a_folder(command: Command, folder: Path) -> None:
    assert command("sql", "SELECT 1", folder, UNDERTONE_WAREHOUSE="s3://lake").exit_code == 0


def test_control_characters_are_escaped_in_tables(command: Command, folder: Path) -> None:
    assert "\\x1b[31m" in command("sql", "SELECT chr(27) || '[31m' AS x", folder).output


def test_a_file_that_is_no_table_of_scores(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"id": [1]}), path)
    result = command("sql", "SELECT 1", path)
    assert (result.exit_code, "is not a table of scores" in result.output) == (2, True)


def test_top(rows: Rows, folder: Path) -> None:
    assert [row["id"] for row in rows("top", "joy", folder, "--limit", "2")] == ["a/0000", "b/0000"]
    assert [row["id"] for row in rows("top", "joy", folder, "--document", "b")] == ["b/0000"]


def test_sample_is_for_labelling(rows: Rows, folder: Path) -> None:
    [row] = rows("sample", folder, "--uncertain", "1")
    assert (row["id"], row["label"], row["correct_labels"]) == ("a/0001", "fear", "")


def test_sample_chooses_a_text_once(rows: Rows, scored: ScoredFolder, point: Point) -> None:
    for number in range(3):
        scored.add("a", point("fear", 0.5), text="the same" if number else "other")
    assert len(rows("sample", scored.write(), "--uncertain", "3")) == 2


def test_texts_are_found_in_the_inputs(command: Command, rows: Rows, story: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores"
    assert command("score", story, "--out", out).exit_code == 0
    texts = [row["text"] for row in rows("sample", out, "--uncertain", "20", "--with-text")]
    assert sorted(texts) == [f"Paragraph number {index}." for index in range(9)]


def test_compare(command: Command, rows: Rows, folder: Path, newer: Path) -> None:
    [changed] = [row for row in rows("compare", folder, newer, "--view", "changed_paragraphs") if row["flipped"] == "true"]
    assert (changed["id"], changed["labels_before"], changed["labels_after"]) == ("a/0001", "fear", "sadness")
    overview = command("compare", folder, newer)
    assert overview.exit_code == 0, overview.output
    assert all(title in overview.output for title in ("Paragraphs", "Changed labels", "Probabilities"))


def test_views_for_engines(command: Command) -> None:
    labels = [argument for label in LABELS for argument in ("--label", label)]
    for dialect in ("athena", "spark", "duckdb"):
        output = command("views", "emotions.stories", "--dialect", dialect, *labels).output
        assert output.count("CREATE OR REPLACE") == len(VIEW_NAMES)
    output = command("views", "emotions.stories", *labels, "--before-snapshot", "123").output
    assert output.count("emotions.stories FOR VERSION AS OF 123 AS scores_before") == 3


def test_all_views_are_listed(command: Command) -> None:
    assert all(name in command("sql", "--list-views").output for name in VIEWS)
    for arguments, unused in ((("scores",), "no SOURCE, such as 'scores'"), (("--view", "drift"), "--view has no effect with")):
        refused = command("sql", "--list-views", *arguments)
        assert (refused.exit_code, unused in refused.output) == (2, True)


def test_a_suffix_without_a_format_is_refused(command: Command, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "joy.xlsx"
    result = command("sql", "FROM scores", folder, "--output", output)
    assert (result.exit_code, "joy.xlsx has no suffix of a format" in result.output) == (2, True), result.output
    assert not output.exists()
    assert command("sql", "FROM scores", folder, "--output", output, "--format", "csv").exit_code == 0
    assert command("sql", "FROM scores", folder, "--output", tmp_path / "JOY.CSV").exit_code == 0
    assert (tmp_path / "JOY.CSV").read_text().startswith("id,")
