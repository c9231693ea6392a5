"""run.json: what a folder's scores were made from and with, and how far the run is."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import PurePath
from typing import Any, Self

from undertone_client.errors import OutputError
from undertone_client.job.survey import Fingerprint
from undertone_client.job.tally import Tally
from undertone_client.sources import SourceOptions
from undertone_client.values import Model, Policy

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Identity:
    """All that determines the table. Two runs of the same identity make the same table, so that one may continue the other."""

    sources: tuple[Fingerprint, ...]
    options: SourceOptions
    rows_per_part: int
    model: Model
    labels: tuple[str, ...]
    policy: Policy

    def differences(self, other: "Identity") -> Iterator[str]:
        """What differs, in words: `self` is what the folder holds, `other` what is asked for now."""
        mine, theirs = self._comparable(), other._comparable()
        for name, value in mine.items():
            if value != theirs[name]:
                yield f"{name}: the folder has {value}, this command {theirs[name]}"

    def _comparable(self) -> dict[str, str]:
        # An input is the same wherever it lies: by its name without directories, and its content.
        inputs = [f"{PurePath(source.name).name} ({(source.sha256 or 'a pipe')[:12]})" for source in self.sources]
        columns = {name: str(value) for name, value in asdict(self.options).items()}
        return {
            "model": str(self.model),
            "labels": ", ".join(self.labels),
            "policy": self.policy.value,
            "inputs": ", ".join(inputs),
            **columns,
            "rows_per_part": str(self.rows_per_part),
        }


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of run.json. `seconds` is the time spent scoring, over all runs of the folder."""

    identity: Identity
    started_at: datetime
    finished_at: datetime | None = None
    scored: int = 0
    failed: int = 0
    skipped: int = 0
    tokens: int = 0
    seconds: float = 0.0
    complete: bool = False

    def updated(self, tally: Tally, *, seconds: float, finished_at: datetime | None = None) -> Self:
        """The manifest with the counts of a run that has added `seconds`; with `finished_at`, a complete one."""
        return replace(
            self,
            scored=tally.stored + tally.scored,
            failed=tally.failed,
            skipped=tally.kept,
            tokens=tally.tokens if finished_at else max(self.tokens, tally.tokens),
            seconds=self.seconds + seconds,
            finished_at=finished_at,
            complete=finished_at is not None,
        )

    def to_json(self) -> str:
        """JSON text, for people and programs."""
        identity = self.identity
        document = {
            "schema_version": SCHEMA_VERSION,
            "inputs": [source.name for source in identity.sources],
            "sources": [asdict(source) for source in identity.sources],
            "options": {**asdict(identity.options), "rows_per_part": identity.rows_per_part},
            "model": {**asdict(identity.model), "labels": identity.labels},
            "policy": identity.policy,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
            "counts": {"scored": self.scored, "failed": self.failed, "skipped": self.skipped},
            "paragraphs_per_second": round(self.scored / self.seconds, 3) if self.seconds else 0.0,
            "tokens": self.tokens,
            "seconds": round(self.seconds, 3),
            "complete": self.complete,
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str) -> Self:
        """The manifest in `text`; `name` is that of its file.

        Raises:
            OutputError: it is no manifest, or of another version of undertone.
        """
        try:
            document = json.loads(text)
            version = document["schema_version"]
            if version == SCHEMA_VERSION:
                return cls._parse(document)
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(f"{name} is no manifest of a run ({error!r}); start anew with --overwrite") from None
        raise OutputError(f"{name} has schema version {version}, this is {SCHEMA_VERSION}; start anew with --overwrite")

    @classmethod
    def _parse(cls, document: dict[str, Any]) -> Self:
        options = dict(document["options"])
        rows_per_part = int(options.pop("rows_per_part"))
        model = dict(document["model"])
        labels = tuple(model.pop("labels"))
        sources = tuple(Fingerprint(**source) for source in document["sources"])
        identity = Identity(
            sources, SourceOptions(**options), rows_per_part, Model(**model), labels, Policy(document["policy"])
        )
        finished, counts = document["finished_at"], document["counts"]
        return cls(
            identity=identity,
            started_at=datetime.fromisoformat(document["started_at"]),
            finished_at=datetime.fromisoformat(finished) if finished else None,
            scored=counts["scored"],
            failed=counts["failed"],
            skipped=counts["skipped"],
            tokens=document["tokens"],
            seconds=document["seconds"],
            complete=document["complete"],
        )
