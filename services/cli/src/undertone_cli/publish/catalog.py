"""pyiceberg's catalogue of a table."""

from pyiceberg.catalog import Catalog, load_catalog
from undertone_client.errors import SettingsError
from undertone_client.jobs import OutputError
from undertone_client.jobs.catalog import CATALOG, CatalogSettings, CatalogType

SQLITE_BUSY_SECONDS = 60
"""How long a process waits for another one that writes to the SQLite file."""


def open_catalog(settings: CatalogSettings) -> Catalog:
    """The catalogue. Creates the folder of a SQLite catalogue.

    Raises:
        SettingsError: pyiceberg cannot use this type of catalogue, or lacks a package for it.
        OutputError: the catalogue cannot be opened.
    """
    if settings.type is CatalogType.HADOOP:
        raise SettingsError(
            "a catalogue of type hadoop has no atomic commit that this command could use: use --catalog-type sqlite, glue, "
            "rest or hive, or the Spark job"
        )
    try:
        if settings.type is CatalogType.SQLITE:
            settings.local_warehouse.mkdir(parents=True, exist_ok=True)
        return load_catalog(CATALOG, **catalog_properties(settings))
    except ImportError as error:  # also pyiceberg's NotInstalledError
        raise SettingsError(f"the catalogue of type {settings.type} needs another package: {error}") from None
    except Exception as error:  # of SQLAlchemy, boto3, requests, Thrift or pyiceberg
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise OutputError(
            f"the catalogue of type {settings.type} cannot be opened ({reason}): check --warehouse, --catalog-…, and the"
            " credentials and the region of your environment"
        ) from None


def catalog_properties(settings: CatalogSettings) -> dict[str, str]:
    """The properties of pyiceberg's catalogue. Paths are written as the Spark job writes them."""
    properties = {"type": "sql" if settings.type is CatalogType.SQLITE else settings.type.value}
    if settings.type is CatalogType.SQLITE:
        properties["uri"] = f"sqlite:///{settings.sqlite_file}?timeout={SQLITE_BUSY_SECONDS}"
    elif settings.uri is not None:
        properties["uri"] = settings.uri
    if settings.warehouse is not None:
        is_url = "://" in settings.warehouse and not settings.warehouse.startswith("file:")
        properties["warehouse"] = settings.warehouse if is_url else str(settings.local_warehouse)
    return properties | dict(settings.options)
