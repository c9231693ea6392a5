"""A version of the table of scores: the files that contain its rows."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from undertone_client.jobs import OutputError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Bucket:
    """The rows whose ids have the same hash.

    Attributes:
        rows: The number of rows.
        files: Names relative to the table's folder.
    """

    rows: int
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """The contents of a version file. Data files never change; a new version lists new files.

    Attributes:
        bucket_count: The number of hash buckets of ids. Fixed when the table is created.
        labels: The emotions that have a column, in order.
        run: The id of the run that committed the version.
        backfill_began_at: The start of an unfinished backfill; None without one.
    """

    number: int
    bucket_count: int
    labels: tuple[str, ...]
    run: str
    committed_at: datetime
    backfill_began_at: datetime | None = None
    buckets: Mapping[int, Bucket] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The number of rows, with those that are marked as deleted."""
        return sum(bucket.rows for bucket in self.buckets.values())

    def files(self, buckets: Iterable[int] | None = None) -> list[str]:
        """The files of some buckets; by default of all."""
        selected = sorted(self.buckets if buckets is None else self.buckets.keys() & set(buckets))
        return [file for number in selected for file in self.buckets[number].files]

    def successor(
        self, buckets: Mapping[int, Bucket], run: str, committed_at: datetime, backfill_began_at: datetime | None = None
    ) -> Self:
        """The next version. `buckets` replace the buckets with the same numbers."""
        return replace(
            self,
            number=self.number + 1,
            run=run,
            committed_at=committed_at,
            backfill_began_at=backfill_began_at,
            buckets={**self.buckets, **buckets},
        )

    def with_labels(self, labels: Iterable[str]) -> Self:
        """This version with columns for further emotions."""
        return replace(self, labels=tuple(dict.fromkeys((*self.labels, *labels))))

    def check_rows(self, buckets: Mapping[int, Bucket], added: Mapping[int, int]) -> None:
        """Checks that new buckets have the rows of this version plus the added rows.

        Raises:
            OutputError: rows were lost or duplicated.
        """
        for number, bucket in buckets.items():
            before = self.buckets[number].rows if number in self.buckets else 0
            if bucket.rows != before + added.get(number, 0):
                raise OutputError(
                    f"bucket {number} was written with {bucket.rows} rows instead of {before} and {added.get(number, 0)} more."
                    " Nothing was committed. Check that no file of the table is missing"
                )

    def to_json(self) -> str:
        """JSON text."""
        document = {"format": FORMAT, **asdict(self)}
        document["committed_at"] = self.committed_at.isoformat()
        document["backfill_began_at"] = self.backfill_began_at and self.backfill_began_at.isoformat()
        document["buckets"] = {str(number): asdict(bucket) for number, bucket in sorted(self.buckets.items())}
        return json.dumps(document, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, file: str) -> Self:
        """Parses the text of a version file.

        Raises:
            OutputError: the text is invalid, or a different release of undertone wrote it.
        """
        try:
            document: dict[str, Any] = json.loads(text)
            file_format = document.pop("format")
            if file_format == FORMAT:
                backfill_began_at = document.pop("backfill_began_at")
                return cls(
                    number=int(document["number"]),
                    bucket_count=int(document["bucket_count"]),
                    labels=tuple(document["labels"]),
                    run=document["run"],
                    committed_at=datetime.fromisoformat(document["committed_at"]),
                    backfill_began_at=datetime.fromisoformat(backfill_began_at) if backfill_began_at else None,
                    buckets=dict(_buckets(document["buckets"])),
                )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OutputError(
                f"{file} is not a version file of a table ({error!r}): delete it to return to the previous version"
            ) from None
        raise OutputError(f"{file} has format {file_format}, but this release reads {FORMAT}: use the release that wrote it")


def _buckets(document: Mapping[str, Any]) -> Iterator[tuple[int, Bucket]]:
    for number, bucket in document.items():
        yield int(number), Bucket(int(bucket["rows"]), tuple(bucket["files"]))
