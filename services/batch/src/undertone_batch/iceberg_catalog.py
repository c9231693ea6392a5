"""The catalogue `undertone` of a Spark session."""

import re

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from undertone_client import SettingsError
from undertone_client.jobs.catalog import CATALOG, SQLITE_BUSY_SECONDS, CatalogSettings, CatalogType

from undertone_batch.iceberg_packages import iceberg_packages, missing_packages

EXTENSIONS_SETTING = "spark.sql.extensions"
EXTENSIONS = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
"""Iceberg's SQL: branches and procedures. Spark loads it when a session starts, not later."""

PACKAGES_SETTING = "spark.jars.packages"

_PREFIX = f"spark.sql.catalog.{CATALOG}"
_MISSING_CLASS = re.compile(r"org\.apache\.iceberg\.spark\.SparkCatalog|No suitable driver|ClassNotFound")


def catalog_settings(catalog: CatalogSettings) -> dict[str, str]:
    """The settings of a Spark session for a catalogue.

    Iceberg's cache of tables is off: a cached table would hide commits of other processes.
    """
    settings = {"": "org.apache.iceberg.spark.SparkCatalog", "cache-enabled": "false"}
    if catalog.type is CatalogType.SQLITE:
        settings |= {
            "catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
            "uri": f"jdbc:sqlite:{catalog.sqlite_file}",
            "warehouse": str(catalog.local_warehouse),
            "jdbc.schema-version": "V1",
            "jdbc.journal_mode": "WAL",
            "jdbc.busy_timeout": str(SQLITE_BUSY_SECONDS * 1000),
        }
    else:
        settings["type"] = catalog.type.value
        if catalog.warehouse is not None:
            settings["warehouse"] = catalog.warehouse if "://" in catalog.warehouse else str(catalog.local_warehouse)
        if catalog.uri is not None:
            settings["uri"] = catalog.uri
    settings |= catalog.options
    return {f"{_PREFIX}.{name}" if name else _PREFIX: value for name, value in settings.items()}


def configure_catalog(spark: SparkSession, catalog: CatalogSettings) -> None:
    """Adds the catalogue to a session.

    Raises:
        SettingsError: the class path of the session lacks Iceberg's classes, or the session uses
            another catalogue of this name already.
    """
    settings = catalog_settings(catalog)
    present = {name: spark.conf.get(name, None) for name in settings}
    if present[_PREFIX] is not None and present != settings:
        changed = ", ".join(sorted(name for name, value in settings.items() if present[name] != value))
        raise SettingsError(
            f"this Spark session already has a catalogue {CATALOG!r} with other settings ({changed}), which cannot change in a"
            " session: use spark.newSession()"
        )
    for name, value in settings.items():
        spark.conf.set(name, value)
    try:
        spark.sql(f"SHOW NAMESPACES IN {CATALOG}").collect()
    except (PySparkException, Py4JJavaError) as error:
        if _MISSING_CLASS.search(str(error)):
            packages = ",".join(iceberg_packages(spark.version, catalog.type))
            raise SettingsError(
                f"Spark lacks the classes of Iceberg's {catalog.type} catalogue. Add --packages {packages} to spark-submit"
                " or to PYSPARK_SUBMIT_ARGS, or --table-format parquet to this command"
            ) from None
        raise


def require_extensions(spark: SparkSession) -> None:
    """Checks that the session can commit to a branch.

    Raises:
        SettingsError: the session was started without Iceberg's SQL extensions.
    """
    if EXTENSIONS not in map(str.strip, (spark.conf.get(EXTENSIONS_SETTING, "") or "").split(",")):
        raise SettingsError(
            "this Spark session was started without Iceberg's SQL extensions, which cannot be added later: start it with"
            f" --conf {EXTENSIONS_SETTING}={EXTENSIONS}"
        )


def session_settings(catalog: CatalogSettings) -> dict[str, str]:
    """The settings that a new session needs for a catalogue.

    `PACKAGES_SETTING` has the packages that Spark lacks, which Spark fetches from Maven.
    """
    settings = {EXTENSIONS_SETTING: EXTENSIONS, **catalog_settings(catalog)}
    if packages := missing_packages(catalog.type):
        settings[PACKAGES_SETTING] = ",".join(packages)
    return settings
