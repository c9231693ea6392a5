"""The Iceberg catalogue of a table of scores, for Spark and for pyiceberg."""

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import click
from undertone_telemetry.options import Decorator, option_group

from undertone_client.errors import SettingsError

CATALOG = "undertone"
"""The name of the catalogue in Spark's and pyiceberg's configuration, and in a SQLite catalogue."""

SQLITE_BUSY_SECONDS = 60
"""How long a process waits for another one that writes to the SQLite file."""

DEAD_LETTERS_SUFFIX = "_dead_letters"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class CatalogType(enum.StrEnum):
    """Where the catalogue keeps the location of the current metadata of each table."""

    SQLITE = "sqlite"
    """In a SQLite file in the warehouse, for one machine. Nothing has to be started."""
    HADOOP = "hadoop"
    """In file names. Only for Spark, and only on a file system with an atomic rename."""
    GLUE = "glue"
    """In the AWS Glue data catalogue."""
    REST = "rest"
    """In a service with Iceberg's REST API."""
    HIVE = "hive"
    """In a Hive metastore."""


@dataclass(frozen=True, slots=True)
class CatalogSettings:
    """The catalogue of a table.

    Attributes:
        type: The kind of catalogue.
        warehouse: The folder or URL of new tables. Required by SQLite and Hadoop.
        uri: The address of a REST catalogue, or of a Hive metastore (thrift://HOST:9083).
        options: Further properties of Iceberg, such as `client.region` or `s3.endpoint`.

    Raises:
        SettingsError: a value is missing, or is unsafe with this type.
    """

    type: CatalogType = CatalogType.SQLITE
    warehouse: str | None = None
    uri: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        local = (CatalogType.SQLITE, CatalogType.HADOOP)
        if self.type in local and not self.warehouse:
            raise SettingsError(f"a catalogue of type {self.type} needs a folder for its tables: set --warehouse")
        if self.type in (CatalogType.REST, CatalogType.HIVE) and not self.uri:
            raise SettingsError(f"a catalogue of type {self.type} needs an address: set --catalog-uri")
        if self.type in local and self.uri:
            raise SettingsError(f"--catalog-uri is {self.uri!r}, but a catalogue of type {self.type} has no address: remove it")
        scheme = (self.warehouse or "").partition("://")[0] if "://" in (self.warehouse or "") else "file"
        if self.type is CatalogType.SQLITE and scheme != "file":
            raise SettingsError(
                f"the warehouse {self.warehouse!r} is not a local folder, but a SQLite catalogue is for one machine: use a"
                " local folder, or --catalog-type glue, rest or hive"
            )
        if self.type is CatalogType.SQLITE and (bad := set("?%") & set(str(self.local_warehouse))):
            raise SettingsError(
                f"the warehouse {self.warehouse!r} is in a folder with {' and '.join(sorted(bad))} in its name, which have a"
                " meaning in the address of the SQLite file: use a folder without them"
            )
        if self.type is CatalogType.HADOOP and scheme in ("s3", "s3a", "s3n", "gs"):
            raise SettingsError(
                f"the warehouse {self.warehouse!r} is an object store, where two commits of a Hadoop catalogue can overwrite"
                " each other: use --catalog-type glue, rest or hive"
            )

    @property
    def pyiceberg_properties(self) -> dict[str, str]:
        """The properties of pyiceberg's catalogue. Paths are written as the Spark job writes them.

        Raises:
            SettingsError: pyiceberg has no catalogue of this type.
        """
        if self.type is CatalogType.HADOOP:
            raise SettingsError(
                "a catalogue of type hadoop is only for Spark: use --catalog-type sqlite, glue, rest or hive, or the Spark job"
            )
        properties = {"type": "sql" if self.type is CatalogType.SQLITE else self.type.value}
        if self.type is CatalogType.SQLITE:
            properties["uri"] = f"sqlite:///{self.sqlite_file}?timeout={SQLITE_BUSY_SECONDS}"
        elif self.uri is not None:
            properties["uri"] = self.uri
        if self.warehouse is not None:
            is_url = "://" in self.warehouse and not self.warehouse.startswith("file:")
            properties["warehouse"] = self.warehouse if is_url else str(self.local_warehouse)
        return properties | dict(self.options)

    @property
    def sqlite_file(self) -> Path:
        """The file of a SQLite catalogue. Only for this type."""
        return self.local_warehouse / "catalog.sqlite"

    @property
    def local_warehouse(self) -> Path:
        """The absolute path of a local warehouse."""
        return Path((self.warehouse or "").removeprefix("file://").removeprefix("file:")).absolute()


@dataclass(frozen=True, slots=True)
class TableName:
    """The name of a table: its namespace (called a database by Glue and Hive) and its name.

    Raises:
        SettingsError: a part is not a name that all engines accept without quotes.
    """

    namespace: str
    name: str

    def __post_init__(self) -> None:
        for part in (self.namespace, self.name):
            if not _NAME.fullmatch(part):
                text = f"{self.namespace}.{self.name}".rstrip(".")
                hint = (
                    ". A folder with versions/, as the Spark job wrote before Iceberg, cannot be continued: score its source"
                    " into a new table with --mode backfill"
                )
                raise SettingsError(
                    f"the table name {text!r} is invalid: use NAMESPACE.NAME, such as emotions.stories, of letters, digits and"
                    f" _{hint if '/' in text else ''}"
                )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses NAMESPACE.NAME. Raises SettingsError."""
        namespace, _, name = text.partition(".")
        return cls(namespace, name)

    @property
    def dead_letters(self) -> "TableName":
        """The table of paragraphs without a score."""
        return TableName(self.namespace, self.name + DEAD_LETTERS_SUFFIX)

    def __str__(self) -> str:
        return f"{self.namespace}.{self.name}"


def parse_pairs(pairs: tuple[str, ...], flag: str, example: str) -> dict[str, str]:
    """Parses NAME=VALUE pairs of a repeated option. Raises SettingsError."""
    parsed = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not (name and separator):
            raise SettingsError(f"{flag} {pair!r} is not NAME=VALUE: write for example {flag} {example}")
        parsed[name] = value
    return parsed


@dataclass(frozen=True, slots=True)
class TableOptions:
    """The values of `table_options`."""

    name: TableName
    catalog: CatalogSettings


def _table_options(
    table: str | None, warehouse: str | None, catalog_type: str, catalog_uri: str | None, catalog_options: tuple[str, ...]
) -> TableOptions | None:
    if table is None:
        if warehouse or catalog_uri or catalog_options:
            raise SettingsError("--warehouse and --catalog-… are options of a table: set --table, or remove them")
        return None
    options = parse_pairs(catalog_options, "--catalog-option", "client.region=eu-central-1")
    return TableOptions(TableName.parse(table), CatalogSettings(CatalogType(catalog_type), warehouse, catalog_uri, options))


_CATALOG_OPTIONS = (
    click.option(
        "--warehouse",
        envvar="UNDERTONE_WAREHOUSE",
        show_envvar=True,
        help="Folder or URL of the Iceberg tables, such as lake or s3://bucket/lake.",
    ),
    click.option(
        "--catalog-type",
        envvar="UNDERTONE_CATALOG_TYPE",
        show_envvar=True,
        type=click.Choice([each.value for each in CatalogType]),
        default=CatalogType.SQLITE.value,
        show_default=True,
        help="Iceberg catalogue. sqlite: a file in the warehouse, for one machine. hadoop: file names in HDFS or on a"
        " disk, only for Spark. glue, rest and hive: services.",
    ),
    click.option(
        "--catalog-uri",
        envvar="UNDERTONE_CATALOG_URI",
        show_envvar=True,
        help="Address of a REST catalogue, or of a Hive metastore (thrift://HOST:9083).",
    ),
    click.option(
        "--catalog-option",
        "catalog_options",
        envvar="UNDERTONE_CATALOG_OPTION",
        show_envvar=True,
        multiple=True,
        metavar="NAME=VALUE",
        help="Property of the Iceberg catalogue, such as s3.endpoint=URL or client.region=REGION. Can be repeated.",
    ),
)


def table_options(help_text: str, *, required: bool) -> Decorator[Any]:
    """Adds the argument `table` to a command: a `TableOptions`, or None without --table.

    Args:
        help_text: The help of --table.
        required: Whether the command needs a table.
    """
    return option_group(
        "table",
        _table_options,
        click.option("--table", required=required, metavar="NAMESPACE.NAME", help=help_text),
        *_CATALOG_OPTIONS,
    )


CatalogFactory = Callable[[], CatalogSettings]
"""Returns the settings of the catalogue. Raises SettingsError."""


def _catalog_options(
    warehouse: str | None, catalog_type: str, catalog_uri: str | None, catalog_options: tuple[str, ...]
) -> CatalogFactory:
    def settings() -> CatalogSettings:
        options = parse_pairs(catalog_options, "--catalog-option", "client.region=eu-central-1")
        return CatalogSettings(CatalogType(catalog_type), warehouse, catalog_uri, options)

    return settings


def catalog_options() -> Decorator[Any]:
    """Adds the argument `catalog` to a command whose argument may name a table: a `CatalogFactory`.

    The options are checked only if the command calls it, because a folder needs no catalogue.
    """
    return option_group("catalog", _catalog_options, *_CATALOG_OPTIONS)
