"""Inputs that a DAG waits for, each with a sensor of Airflow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow.providers.standard.sensors.filesystem import FileSensor
from airflow.sdk import BaseOperator
from undertone_client.jobs.catalog import CatalogSettings, TableName

from undertone_schedules.airflow_dags.providers import import_provider
from undertone_schedules.airflow_dags.table_sensor import IcebergSnapshotSensor


class Input(Protocol):
    """Something that must exist before a run starts."""

    def sensor(self, **options: Any) -> BaseOperator:
        """A task that succeeds once the input exists.

        Args:
            options: Further arguments of the sensor, such as `task_id`.

        Raises:
            SettingsError: the provider package of the sensor is not installed.
        """


@dataclass(frozen=True, slots=True)
class FileInput:
    """A file or a folder with files.

    Attributes:
        path: The path or glob, with Jinja templates.
        conn_id: The Airflow connection of type `fs`.
        options: Further arguments of FileSensor, such as `deferrable`.
    """

    path: str
    conn_id: str = "fs_default"
    options: Mapping[str, Any] = field(default_factory=dict)

    def sensor(self, **options: Any) -> BaseOperator:
        return FileSensor(filepath=self.path, fs_conn_id=self.conn_id, **{**options, **self.options})


@dataclass(frozen=True, slots=True)
class S3Input:
    """An object in S3, such as the `_SUCCESS` that Spark writes last.

    Attributes:
        url: `s3://BUCKET/KEY`, with Jinja templates.
        conn_id: The Airflow connection to AWS.
        options: Further arguments of S3KeySensor, such as `wildcard_match` or `deferrable`.
    """

    url: str
    conn_id: str = "aws_default"
    options: Mapping[str, Any] = field(default_factory=dict)

    def sensor(self, **options: Any) -> BaseOperator:
        sensor = import_provider("airflow.providers.amazon.aws.sensors.s3", "S3KeySensor", extra="amazon", user="S3Input")
        built: BaseOperator = sensor(bucket_key=self.url, aws_conn_id=self.conn_id, **{**options, **self.options})
        return built


@dataclass(frozen=True, slots=True)
class TableInput:
    """An Iceberg table with a snapshot that is not older than the run's `data_interval_end`.

    Attributes:
        table: NAMESPACE.NAME of the source.
        catalog: Its catalogue.
        options: Further arguments of the sensor.

    Raises:
        SettingsError: the name of the table is invalid.
    """

    table: str
    catalog: CatalogSettings
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        TableName.parse(self.table)

    def sensor(self, **options: Any) -> BaseOperator:
        return IcebergSnapshotSensor(table=self.table, catalog=self.catalog, **{**options, **self.options})
