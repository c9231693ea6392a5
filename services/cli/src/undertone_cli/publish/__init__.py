"""Publishes run folders to Iceberg tables, without Spark. Needs the extra `undertone[iceberg]`."""

from undertone_cli.publish.attempt import Published
from undertone_cli.publish.catalog import open_catalog
from undertone_cli.publish.publication import Publication

__all__ = ["Publication", "Published", "open_catalog"]
