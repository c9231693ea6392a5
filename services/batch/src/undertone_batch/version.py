"""A version of the table of scores: which files hold it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from undertone_client.jobs import OutputError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Bucket:
    """The rows whose id falls into a bucket: how many, and the files, relative to the table's folder."""

    rows: int
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """What a version file says. Files are never changed; a new version names others.

    bucket_count: into how many buckets ids are hashed; fixed when the table is made.
    labels: the emotions that have a column, in order.
    run: the id of the run that committed it.
    backfill_began_at: when the backfill began that is not through yet; None if there is none.
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
        """Rows in all, those that are marked as deleted included."""
        return sum(bucket.rows for bucket in self.buckets.values())

    def files(self, buckets: Iterable[int] | None = None) -> list[str]:
        """The files of these buckets; of all if none are named."""
        chosen = sorted(self.buckets if buckets is None else self.buckets.keys() & set(buckets))
        return [file for number in chosen for file in self.buckets[number].files]

    def followed_by(
        self, replaced: Mapping[int, Bucket], run: str, committed_at: datetime, backfill_began_at: datetime | None = None
    ) -> Self:
        """The next version, with these buckets in the place of those of the same number."""
        return replace(
            self,
            number=self.number + 1,
            run=run,
            committed_at=committed_at,
            backfill_began_at=backfill_began_at,
            buckets={**self.buckets, **replaced},
        )

    def with_labels(self, labels: Iterable[str]) -> Self:
        """The same with a column for these emotions, too."""
        return replace(self, labels=tuple(dict.fromkeys((*self.labels, *labels))))

    def check(self, replaced: Mapping[int, Bucket], added: Mapping[int, int]) -> None:
        """Check that buckets that are to replace those of this version have as many rows, and those that were added.

        Raises:
            OutputError: rows were lost, or doubled, on the way to the files.
        """
        for number, bucket in replaced.items():
            before = self.buckets[number].rows if number in self.buckets else 0
            if bucket.rows != before + added.get(number, 0):
                raise OutputError(
                    f"bucket {number} was written with {bucket.rows} rows instead of {before} and {added.get(number, 0)} more;"
                    " nothing was committed. Are the table's files complete?"
                )

    def to_json(self) -> str:
        """JSON text, for people and programs."""
        document = {"format": FORMAT, **asdict(self)}
        document["committed_at"] = self.committed_at.isoformat()
        document["backfill_began_at"] = self.backfill_began_at and self.backfill_began_at.isoformat()
        document["buckets"] = {str(number): asdict(bucket) for number, bucket in sorted(self.buckets.items())}
        return json.dumps(document, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str) -> Self:
        """The version in `text`; `name` is that of its file.

        Raises:
            OutputError: it is no version file, or of another release of undertone.
        """
        try:
            document: dict[str, Any] = json.loads(text)
            known = document.pop("format")
            if known == FORMAT:
                began = document.pop("backfill_began_at")
                return cls(
                    number=int(document["number"]),
                    bucket_count=int(document["bucket_count"]),
                    labels=tuple(document["labels"]),
                    run=document["run"],
                    committed_at=datetime.fromisoformat(document["committed_at"]),
                    backfill_began_at=datetime.fromisoformat(began) if began else None,
                    buckets=dict(_buckets(document["buckets"])),
                )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OutputError(f"{name} is no version of a table ({error!r}); delete it to go back to the one before") from None
        raise OutputError(f"{name} has format {known}, this release reads {FORMAT}; use the release that wrote it")


def _buckets(document: Mapping[str, Any]) -> Iterator[tuple[int, Bucket]]:
    for number, bucket in document.items():
        yield int(number), Bucket(int(bucket["rows"]), tuple(bucket["files"]))
