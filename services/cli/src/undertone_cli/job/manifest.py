"""run.json: what a folder's scores were made from and with, and how far the run is."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import zip_longest
from typing import Any, Self

from undertone_client.jobs import OutputError
from undertone_client.resilience import BreakerState, CallCounts
from undertone_client.values import Model, Policy

from undertone_cli.job.shard import Shard
from undertone_cli.job.survey import Fingerprint
from undertone_cli.job.tally import Tally
from undertone_cli.job.throughput import Sample
from undertone_cli.sources import Format, SourceOptions

SCHEMA_VERSION = 3


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
        # An input is the same wherever it lies: by what its paragraphs are named after, and its content.
        for mine, theirs in zip_longest(self.sources, other.sources):
            if mine is None or theirs is None or (mine.document, mine.sha256) != (theirs.document, theirs.sha256):
                yield f"inputs: the folder has {_brief(mine)}, this command {_brief(theirs)}"
                break  # one is enough: of those after it, each may be another
        settings, others = self._comparable(), other._comparable()
        for name, value in settings.items():
            if value != others[name]:
                yield f"{name}: the folder has {value}, this command {others[name]}"

    def _comparable(self) -> dict[str, str]:
        columns = {name: str(value) for name, value in asdict(self.options).items()}
        return {
            "model": str(self.model),
            "labels": ", ".join(self.labels),
            "policy": self.policy.value,
            **columns,
            "rows_per_part": str(self.rows_per_part),
        }


def _brief(source: Fingerprint | None) -> str:
    return "no more" if source is None else f"{source.input.shown} ({(source.sha256 or 'a pipe')[:12]})"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of run.json.

    `kept` paragraphs had their score before the last run; `repeated` were not sent, as another of the same text was.
    `seconds` is the time spent scoring, over all runs of the folder, as are `calls` (the paper's Table 4), `throughput` (its
    Figure 2) and the other counts.
    """

    identity: Identity
    started_at: datetime
    finished_at: datetime | None = None
    shards: tuple[Shard, ...] = ()
    kept: int = 0
    repeated: int = 0
    seconds: float = 0.0
    complete: bool = False
    calls: CallCounts = field(default_factory=CallCounts)
    throughput: tuple[Sample, ...] = ()

    @property
    def scored(self) -> int:
        """Rows of the table."""
        return sum(shard.scored for shard in self.shards)

    @property
    def failed(self) -> int:
        """Dead letters."""
        return sum(shard.failed for shard in self.shards)

    @property
    def tokens(self) -> int:
        """Tokens of all rows."""
        return sum(shard.tokens for shard in self.shards)

    def updated(
        self,
        tally: Tally,
        shards: tuple[Shard, ...],
        calls: CallCounts,
        throughput: tuple[Sample, ...],
        *,
        seconds: float,
        finished_at: datetime | None = None,
    ) -> Self:
        """The manifest after a run that counted `tally` and `calls`; with `finished_at`, a complete one.

        `shards`, `throughput` and `seconds` are those of all runs of the folder.
        """
        return replace(
            self,
            shards=shards,
            kept=tally.kept,
            repeated=self.repeated + tally.repeated,
            seconds=seconds,
            finished_at=finished_at,
            complete=finished_at is not None,
            calls=self.calls + calls,
            throughput=throughput,
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
            "counts": {"scored": self.scored, "failed": self.failed, "kept": self.kept},
            "repeated": self.repeated,
            "paragraphs_per_second": round(self.scored / self.seconds, 3) if self.seconds else 0.0,
            "tokens": self.tokens,
            "seconds": round(self.seconds, 3),
            "complete": self.complete,
            "calls": self.calls.to_json(),
            "shards": [asdict(shard) for shard in self.shards],
            "throughput": [asdict(sample) for sample in self.throughput],
        }
        return _text(document)

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
        form = options.pop("format")
        read = SourceOptions(**options, format=Format(form) if form else None)
        identity = Identity(sources, read, rows_per_part, Model(**model), labels, Policy(document["policy"]))
        finished, counts = document["finished_at"], document["counts"]
        return cls(
            identity=identity,
            started_at=datetime.fromisoformat(document["started_at"]),
            finished_at=datetime.fromisoformat(finished) if finished else None,
            shards=tuple(Shard(**shard) for shard in document["shards"]),
            kept=counts["kept"],
            repeated=document["repeated"],
            seconds=document["seconds"],
            complete=document["complete"],
            calls=CallCounts.from_json(document["calls"]),
            throughput=tuple(
                Sample(**{**sample, "breaker": BreakerState(sample["breaker"])}) for sample in document["throughput"]
            ),
        )


def _text(document: dict[str, Any]) -> str:
    """A line for each key, and for each object of a list: thousands of shards stay readable."""

    def value(of: Any) -> str:
        if isinstance(of, list) and of and isinstance(of[0], dict):
            return "[\n    " + ",\n    ".join(map(dumps, of)) + "\n  ]"
        return dumps(of)

    def dumps(of: Any) -> str:
        return json.dumps(of, ensure_ascii=False)

    return "{\n" + ",\n".join(f"  {dumps(key)}: {value(of)}" for key, of in document.items()) + "\n}\n"
