import click
import pytest
from click.testing import CliRunner
from undertone_client import SettingsError
from undertone_client.jobs.catalog import CatalogSettings, CatalogType, TableName, TableOptions, table_options


@pytest.mark.parametrize(
    ("catalog_type", "warehouse", "uri", "remedy"),
    [
        (CatalogType.SQLITE, None, None, "set --warehouse"),
        (CatalogType.SQLITE, "s3://bucket/lake", None, "--catalog-type glue"),
        (CatalogType.SQLITE, "lake", "http://localhost", "remove it"),
        (CatalogType.HADOOP, "s3a://bucket/lake", None, "--catalog-type glue"),
        (CatalogType.REST, "lake", None, "set --catalog-uri"),
        (CatalogType.HIVE, "lake", None, "set --catalog-uri"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    catalog_type: CatalogType, warehouse: str | None, uri: str | None, remedy: str
) -> None:
    with pytest.raises(SettingsError, match=remedy):
        CatalogSettings(catalog_type, warehouse, uri)


def test_the_sqlite_file_is_in_the_warehouse() -> None:
    assert str(CatalogSettings(warehouse="file:///data/lake").sqlite_file) == "/data/lake/catalog.sqlite"


@pytest.mark.parametrize("text", ["stories", "a.b.c", "a.", ".b", "a.b c", "a.`b`", "a.1b", "été.b"])
def test_invalid_table_names_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"NAMESPACE\.NAME"):
        TableName.parse(text)


def test_the_folder_of_a_table_before_iceberg_is_refused_with_a_remedy() -> None:
    with pytest.raises(
        SettingsError, match="before Iceberg, cannot be continued: score its source into a new table with --mode"
    ):
        TableName.parse("s3://lake/scores")


def test_dead_letters_are_in_a_table_beside() -> None:
    assert str(TableName.parse("emotions.stories").dead_letters) == "emotions.stories_dead_letters"


def _parse(*arguments: str) -> tuple[TableOptions | None, str]:
    values: list[TableOptions | None] = []

    @click.command()
    @table_options("The table.", required=False)
    def command(table: TableOptions | None) -> None:
        values.append(table)

    result = CliRunner().invoke(command, arguments)
    return (values[0] if values else None), result.output


def test_options_of_a_table() -> None:
    glue = ("--table", "a.b", "--catalog-type", "glue", "--catalog-option", "client.region=eu=1")
    expected = TableOptions(TableName("a", "b"), CatalogSettings(CatalogType.GLUE, options={"client.region": "eu=1"}))
    assert _parse(*glue) == (expected, "")


def test_no_table() -> None:
    assert _parse() == (None, "")


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["--warehouse", "lake"], "set --table"),
        (["--table", "a.b", "--warehouse", "lake", "--catalog-option", "x"], "'x' is not NAME=VALUE"),
    ],
)
def test_options_that_miss_a_part_are_refused(arguments: list[str], remedy: str) -> None:
    table, output = _parse(*arguments)
    assert table is None
    assert remedy in output


@pytest.mark.parametrize("warehouse", ["lake?b=c", "file:///tmp/lake%20"])
def test_a_warehouse_that_breaks_the_address_of_sqlite_is_refused(warehouse: str) -> None:
    with pytest.raises(SettingsError, match=r"in its name, which have a meaning in the address of the SQLite file"):
        CatalogSettings(warehouse=warehouse)
