"""pyiceberg's catalogue of a table."""

from pyiceberg.catalog import Catalog, load_catalog
from undertone_client.errors import SettingsError
from undertone_client.jobs import OutputError
from undertone_client.jobs.catalog import CATALOG, CatalogSettings, CatalogType


def open_catalog(settings: CatalogSettings) -> Catalog:
    """The catalogue. Creates the folder of a SQLite catalogue.

    Raises:
        SettingsError: pyiceberg cannot use this type of catalogue, or lacks a package for it.
        OutputError: the catalogue cannot be opened.
    """
    properties = settings.pyiceberg_properties
    try:
        if settings.type is CatalogType.SQLITE:
            settings.local_warehouse.mkdir(parents=True, exist_ok=True)
        return load_catalog(CATALOG, **properties)
    except ImportError as error:  # also pyiceberg's NotInstalledError
        raise SettingsError(f"the catalogue of type {settings.type} needs another package: {error}") from None
    except Exception as error:  # of SQLAlchemy, boto3, requests, Thrift or pyiceberg
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise OutputError(
            f"the catalogue of type {settings.type} cannot be opened ({reason}): check --warehouse, --catalog-…, and the"
            " credentials and the region of your environment"
        ) from None
