"""What a run is asked to do."""

import re
import uuid
from dataclasses import dataclass, field

from undertone_client import SettingsError

from undertone_batch.plan import RunMode
from undertone_batch.service import Service
from undertone_batch.source import Source


def new_run() -> str:
    """An id for a run."""
    return uuid.uuid4().hex[:12]


@dataclass(frozen=True, slots=True)
class Order:
    """What a run is asked to do.

    mode: see `RunMode`. A backfill that was stopped is continued by the next: what it has scored is not scored again.
    source: the paragraphs.
    table: folder of the table, on any file system that Spark reaches.
    service: who scores, and how.
    mark_deleted: whether rows whose paragraph is not in the source are marked; False for a source that holds a part only.
    max_failed_share: the run fails if more than this share of all paragraphs that should have a score gets none, from 0 to 1.
    wave_rows: paragraphs after which a version is committed, about; as many are scored in vain if the driver dies.
    bucket_count: buckets of a new table. An existing one keeps those that it has.
    run: id of the run, part of its files' names.

    Raises:
        SettingsError: a value that cannot work.
    """

    mode: RunMode
    source: Source
    table: str
    service: Service
    mark_deleted: bool = True
    max_failed_share: float = 0.01
    wave_rows: int = 250_000
    bucket_count: int = 64
    run: str = field(default_factory=new_run)

    def __post_init__(self) -> None:
        if not 0 <= self.max_failed_share <= 1:
            raise SettingsError(f"max_failed_share is {self.max_failed_share}; it must be from 0 to 1")
        for name in ("wave_rows", "bucket_count"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_+.-]{0,99}", self.run):
            raise SettingsError(f"run {self.run!r} cannot be part of a file's name; use up to 100 letters, digits and _ + . -")
