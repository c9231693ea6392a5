"""What a schedule scores: the arguments of `undertone-batch run`."""

import enum
from dataclasses import dataclass

from undertone_client import SettingsError
from undertone_client.jobs.catalog import CatalogSettings, TableName

_RESERVED = ("--mode", "--source", "--format", "--table", "--target", "--deletions", "--run", "--as-of", "--summary", "--job")
_RESERVED_PREFIXES = ("--warehouse", "--catalog-")


class RunMode(enum.StrEnum):
    """The modes of `undertone-batch run`."""

    BACKFILL = "backfill"
    """Scores all paragraphs of the source."""
    DAILY = "daily"
    """Scores the paragraphs that are new, have changed, or were scored by another model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """A source of paragraphs, the table of its scores, and the service.

    Attributes:
        source: The path or glob of the paragraphs, or several. It can be a template, so that each
            run reads the data of its own day: in Airflow with Jinja, such as
            `s3://lake/posts/{{ ds }}/`; in Luigi with `{date}`.
        table: NAMESPACE.NAME of the table.
        target: A gRPC target that the executors can reach.
        catalog: The Iceberg catalogue of the table.
        source_format: The format of the source, such as `parquet` or `json`.
        is_partial: Whether the source contains only part of the data, such as the new paragraphs of
            one day. Paragraphs that are not in a partial source stay in the table. Paragraphs that
            are not in a complete source are marked as deleted.
        options: Further options of `undertone-batch run`, such as `--tls`.

    Raises:
        SettingsError: a value is invalid.
    """

    source: str | tuple[str, ...]
    table: str
    target: str
    catalog: CatalogSettings
    source_format: str = "parquet"
    is_partial: bool = False
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        TableName.parse(self.table)
        if isinstance(self.options, str):
            raise SettingsError(f"the options are {self.options!r}: use a tuple of strings, such as ('--tls',)")
        for option in self.options:
            flag = option.partition("=")[0]
            if flag in _RESERVED or flag.startswith(_RESERVED_PREFIXES):
                raise SettingsError(f"the option {option!r} is set by the schedule: remove it from the options")

    @property
    def table_name(self) -> TableName:
        """The parsed name of the table."""
        return TableName.parse(self.table)

    def arguments(self, mode: RunMode, *, job: str, as_of: str, run_id: str) -> list[str]:
        """The arguments of `undertone-batch` for one run.

        Args:
            mode: What to score.
            job: The name of the schedule, for metrics and for the table's record of its newest run.
            as_of: The time of the data in the source, in ISO 8601 and UTC.
            run_id: The id of the run. Every attempt of a run has the same.
        """
        sources = (self.source,) if isinstance(self.source, str) else self.source
        return [
            "run",
            f"--mode={mode}",
            *(f"--source={source}" for source in sources),
            f"--format={self.source_format}",
            f"--table={self.table}",
            *self._catalog_arguments(),
            f"--target={self.target}",
            f"--deletions={'ignore' if self.is_partial else 'mark'}",
            f"--job={job}",
            f"--as-of={as_of}",
            f"--run={run_id}",
            *self.options,
        ]

    def _catalog_arguments(self) -> list[str]:
        catalog = self.catalog
        arguments = [f"--catalog-type={catalog.type}"]
        if catalog.warehouse:
            arguments.append(f"--warehouse={catalog.warehouse}")
        if catalog.uri:
            arguments.append(f"--catalog-uri={catalog.uri}")
        return [*arguments, *(f"--catalog-option={name}={value}" for name, value in catalog.options.items())]
