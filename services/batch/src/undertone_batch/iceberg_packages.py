"""Maven packages of Iceberg for a version of Spark."""

import os
from pathlib import Path

import pyspark
from undertone_client.jobs.catalog import CatalogType

RUNTIMES = {"3.5": ("2.12", "1.12.0"), "4.0": ("2.13", "1.11.0"), "4.1": ("2.13", "1.12.0")}
"""Scala and Iceberg versions by minor version of Spark. Newer Iceberg has no runtime for 4.0."""

SQLITE_DRIVER = "org.xerial:sqlite-jdbc:3.54.1.0"


def iceberg_packages(spark_version: str, catalog: CatalogType) -> list[str]:
    """Maven coordinates of what a catalogue needs.

    A Spark that is newer than the table gets the coordinates of the newest one that is known.

    Args:
        spark_version: As in `pyspark.__version__`, such as 4.1.4.
        catalog: The type of the catalogue.
    """
    minor = ".".join(spark_version.split(".")[:2])
    if minor not in RUNTIMES:
        minor = max(RUNTIMES)
    scala, iceberg = RUNTIMES[minor]
    packages = [f"org.apache.iceberg:iceberg-spark-runtime-{minor}_{scala}:{iceberg}"]
    if catalog is CatalogType.SQLITE:
        packages.append(SQLITE_DRIVER)
    if catalog is CatalogType.GLUE:
        packages.append(f"org.apache.iceberg:iceberg-aws-bundle:{iceberg}")
    return packages


def missing_packages(catalog: CatalogType) -> list[str]:
    """The packages that the Spark of this environment lacks.

    Looks into Spark's folder of jars, and into the settings that are in Spark's folder.
    """
    home = Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent)
    defaults = Path(os.environ.get("SPARK_CONF_DIR") or home / "conf") / "spark-defaults.conf"
    present = " ".join(path.name for path in (home / "jars").glob("*.jar"))
    if defaults.is_file():
        present += defaults.read_text(encoding="utf-8", errors="replace")
    packages = iceberg_packages(pyspark.__version__, catalog)
    return [package for package in packages if package.split(":")[1] not in present]
