"""The configuration of a run: its mode, its service and its bounds."""

import enum
import re
import uuid
from dataclasses import dataclass, field

from undertone_client import Mode, Policy, Settings, SettingsError, validate_target
from undertone_client.jobs.catalog import CatalogSettings, TableName
from undertone_telemetry import TelemetrySettings

from undertone_batch.layout import Layout, TableFormat
from undertone_batch.schedule import ScheduledTime
from undertone_batch.source import Source
from undertone_batch.source.options import check_options


class RunMode(enum.StrEnum):
    """Which paragraphs a run scores."""

    BACKFILL = "backfill"
    """All paragraphs."""
    DAILY = "daily"
    """Paragraphs without a score of the current text by the served model with this policy."""


@dataclass(frozen=True, slots=True)
class Service:
    """An Undertone service for the executors. Spark sends this value to them.

    Equal services share one client in each Python worker process. Files in `settings.tls` must
    exist on every executor.

    Args:
        target: A gRPC target that the executors can reach, such as
            `dns:///undertone.example:443`.
        settings: The clients' settings. By default a client waits for a service that is down, as
            long as its breaker has patience.
        policy: How the service scores paragraphs that are longer than the model's maximum length.
        telemetry: The clients' telemetry. Workers start and end at any time, so it must be pushed:
            to Datadog, or to a collector of traces.

    Raises:
        SettingsError: the target is invalid.
    """

    target: str
    settings: Settings = field(default_factory=lambda: Settings(mode=Mode.BATCH))
    policy: Policy = Policy.CHUNK_MEAN
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)

    def __post_init__(self) -> None:
        validate_target(self.target)


def new_run_id() -> str:
    """A random id of a run."""
    return uuid.uuid4().hex[:12]


@dataclass(frozen=True, slots=True)
class JobConfig:
    """The configuration of a run.

    Attributes:
        mode: Which paragraphs to score. A backfill continues one that was stopped: paragraphs that
            the stopped one scored are not scored again.
        source: The paragraphs.
        table: The name of the table.
        catalog: The catalogue of the table. The catalogue of the session is set to it.
        layout: The format and the partitions of a new table.
        service: The service that scores.
        mark_deleted: Whether to mark rows whose paragraph is not in the source. False for a source
            that contains only part of the data.
        max_deleted_share: The run stops before it scores if it would mark a larger share of the
            table's rows as deleted. A few rows may always be marked. From 0 to 1.
        max_failed_share: The run fails if a larger share of the paragraphs that should have a
            score gets none. From 0 to 1.
        wave_rows: About how many paragraphs to score between two commits. A driver that dies
            loses the scores since the last commit.
        run_id: The id of the run. It is in the dead letters and in the properties of the snapshots.
        scheduled: The time of the data in the source, for scheduled runs. A run with `mark_deleted`
            changes nothing if the table has newer data. Only for Iceberg.

    Raises:
        SettingsError: a value is invalid.
    """

    mode: RunMode
    source: Source
    table: TableName
    catalog: CatalogSettings
    service: Service
    layout: Layout = field(default_factory=Layout)
    mark_deleted: bool = True
    max_deleted_share: float = 0.1
    max_failed_share: float = 0.01
    wave_rows: int = 250_000
    run_id: str = field(default_factory=new_run_id)
    scheduled: ScheduledTime | None = None

    def __post_init__(self) -> None:
        for name in ("max_deleted_share", "max_failed_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"{name} is {getattr(self, name)}: use a share from 0 to 1")
        check_options(self.source.format, self.source.options, mark_deleted=self.mark_deleted)
        if self.layout.format is TableFormat.PARQUET and self.mode is RunMode.DAILY:
            raise SettingsError(
                "a daily run keeps rows, but a table of Parquet cannot be replaced safely: use --mode backfill, or"
                " --table-format iceberg"
            )
        if self.wave_rows < 1:
            raise SettingsError(f"wave_rows is {self.wave_rows}: use 1 or more")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_+.-]{0,99}", self.run_id):
            raise SettingsError(f"the run id {self.run_id!r} is invalid: use up to 100 letters, digits and _ + . -")
        if self.scheduled is not None and self.layout.format is not TableFormat.ICEBERG:
            raise SettingsError(f"--as-of needs an Iceberg table, but --table-format is {self.layout.format}: remove --as-of")
