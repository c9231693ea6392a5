"""_run.json: the identity of a folder's run, and its progress."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import zip_longest
from typing import Any, Final, Self

from undertone_client.jobs import OutputError
from undertone_client.resilience import BreakerState, CallCounts
from undertone_client.values import Model, Policy, ProblemType

from undertone_cli.readers import BadLinePolicy, Fingerprint, Format, ReadOptions, RowTypes, arrow_type
from undertone_cli.run_folder.throughput import Sample

SCHEMA_VERSION = 4
OLD_SCHEMA_VERSION = 3
"""Of earlier versions, without `types`, `keep`, `min_characters` and short paragraphs."""
_SURROGATE = re.compile("[\ud800-\udfff]")

_NOTHING: Final = "nothing"


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Everything that determines the scores. A run can continue another of the same identity.

    `thresholds` are in the order of `labels`, and empty for a single-label model.
    """

    sources: tuple[Fingerprint, ...]
    options: ReadOptions
    rows_per_part: int
    model: Model
    labels: tuple[str, ...]
    policy: Policy
    types: RowTypes = field(default_factory=RowTypes)
    problem_type: ProblemType = ProblemType.SINGLE_LABEL
    thresholds: tuple[float, ...] = ()

    @property
    def multi_label(self) -> bool:
        """Whether the model is multi-label."""
        return self.problem_type is ProblemType.MULTI_LABEL

    def differences(self, current: "RunIdentity") -> Iterator[str]:
        """Each difference between this recorded identity and the current one, as a message."""
        # An input may move: its document name and its content identify it.
        for old, new in zip_longest(self.sources, current.sources):
            if old is None or new is None or (old.document, old.sha256) != (new.document, new.sha256):
                yield f"inputs: the folder has {_describe(old)}, this command has {_describe(new)}"
                break  # one inserted input shifts all inputs after it
        new_settings = current._settings()
        for name, value in self._settings().items():
            if value != new_settings[name]:
                yield f"{name}: the folder has {value}, this command has {new_settings[name]}"

    def _settings(self) -> dict[str, str]:
        options = {**asdict(self.options), "keep": ", ".join(self.options.keep) or None, "rows_per_part": self.rows_per_part}
        return {
            "model": str(self.model),
            "labels": ", ".join(self.labels),
            "problem type": self.problem_type.value,
            "thresholds": ", ".join(map(str, self.thresholds)) or _NOTHING,
            "--policy": self.policy.value,
            **{f"--{name.replace('_', '-')}": _NOTHING if value is None else str(value) for name, value in options.items()},
            "type of the ids": self.types.id,
            "types of the kept columns": ", ".join(self.types.kept) or _NOTHING,
        }


def _describe(source: Fingerprint | None) -> str:
    return "no further input" if source is None else f"{source.display_name} ({(source.sha256 or 'a pipe')[:12]})"


@dataclass(frozen=True, slots=True)
class Shard:
    """A range of consecutive paragraphs of the input, as recorded in _run.json.

    Its scores are the rows of the part with the same number.

    Attributes:
        number: number of the shard, from 0.
        paragraphs: number of paragraphs that were read.
        scored: rows in the part's file.
        failed: paragraphs without a score.
        tokens: tokens of all rows.
        complete: whether each paragraph has a score, is a dead letter, or is too short.
        short: paragraphs that are too short to be scored.
        flags: rows with each flag. Empty for a shard of an earlier release.
    """

    number: int
    paragraphs: int
    scored: int
    failed: int
    tokens: int
    complete: bool
    short: int = 0
    flags: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Content of _run.json. Unless stated otherwise, counts are totals of all runs of the folder.

    Attributes:
        identity: everything that determines the scores.
        started_at: start of the first run.
        finished_at: end of the run that completed the table.
        shards: one shard for each part.
        kept: paragraphs whose score the last run kept from an earlier one.
        repeated: paragraphs that were not sent, because another one has the same text.
        bad_lines: lines that were skipped, because they cannot be read.
        seconds: time spent scoring.
        complete: whether each paragraph has a score or is a dead letter.
        calls: calls by result (Table 4 of the paper).
        throughput: throughput over time (Figure 2 of the paper).
    """

    identity: RunIdentity
    started_at: datetime
    finished_at: datetime | None = None
    shards: tuple[Shard, ...] = ()
    kept: int = 0
    repeated: int = 0
    bad_lines: int = 0
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
        """Paragraphs without a score: the dead letters."""
        return sum(shard.failed for shard in self.shards)

    @property
    def short(self) -> int:
        """Paragraphs that are too short to be scored."""
        return sum(shard.short for shard in self.shards)

    @property
    def tokens(self) -> int:
        """Tokens of all rows."""
        return sum(shard.tokens for shard in self.shards)

    @property
    def flags(self) -> dict[str, int]:
        """Rows with each flag."""
        return dict(sum((Counter(shard.flags) for shard in self.shards), Counter()))

    def updated(
        self,
        *,
        kept: int,
        repeated: int,
        bad_lines: int,
        calls: CallCounts,
        shards: tuple[Shard, ...],
        throughput: tuple[Sample, ...],
        seconds: float,
        finished_at: datetime | None,
    ) -> Self:
        """The manifest after a run.

        Args:
            kept: kept paragraphs of this run.
            repeated: repeated paragraphs of this run. They are added to those of earlier runs.
            bad_lines: skipped lines of the inputs.
            calls: calls of this run. They are added to those of earlier runs.
            shards: all shards of the folder.
            throughput: samples of all runs.
            seconds: time that all runs spent scoring.
            finished_at: the end of the run. None if the run is not complete.
        """
        return replace(
            self,
            shards=shards,
            kept=kept,
            repeated=self.repeated + repeated,
            bad_lines=bad_lines,
            seconds=seconds,
            finished_at=finished_at,
            complete=finished_at is not None,
            calls=self.calls + calls,
            throughput=throughput,
        )

    def to_json(self) -> str:
        """The JSON text of _run.json."""
        identity = self.identity
        document = {
            "schema_version": SCHEMA_VERSION,
            "inputs": [source.name for source in identity.sources],
            "sources": [asdict(source) for source in identity.sources],
            "options": {**asdict(identity.options), "rows_per_part": identity.rows_per_part},
            "types": asdict(identity.types),
            "model": {
                **asdict(identity.model),
                "labels": identity.labels,
                "problem_type": identity.problem_type,
                "thresholds": identity.thresholds,
            },
            "policy": identity.policy,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
            "counts": {"scored": self.scored, "failed": self.failed, "kept": self.kept, "short": self.short},
            "repeated": self.repeated,
            "bad_lines": self.bad_lines,
            "paragraphs_per_second": round(self.scored / self.seconds, 3) if self.seconds else 0.0,
            "tokens": self.tokens,
            "flags": self.flags,
            "seconds": round(self.seconds, 3),
            "complete": self.complete,
            "calls": self.calls.to_json(),
            "shards": [asdict(shard) for shard in self.shards],
            "throughput": [asdict(sample) for sample in self.throughput],
        }
        return _json(document)

    @classmethod
    def from_json(cls, text: str, name: str) -> Self:
        """Parse the text of the file `name`.

        Raises:
            OutputError: the text is not a manifest, or has another schema version.
        """
        if is_foreign(text):
            raise OutputError(f"{name} was not written by `undertone score`: name a folder of a run, or an empty folder")
        try:
            document = json.loads(text)
            version = document["schema_version"]
            if version in (OLD_SCHEMA_VERSION, SCHEMA_VERSION):
                return cls._parse(document)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"the field {error} is missing" if isinstance(error, KeyError) else str(error)
            raise OutputError(
                f"{name} is not a valid manifest ({reason}); discard the run with `undertone score --overwrite`"
            ) from None
        raise OutputError(
            f"{name} has schema version {version}, this release reads {SCHEMA_VERSION}; "
            "discard the run with `undertone score --overwrite`"
        )

    @classmethod
    def _parse(cls, document: dict[str, Any]) -> Self:
        options = dict(document["options"])
        rows_per_part = int(options.pop("rows_per_part"))
        model = dict(document["model"])
        labels = tuple(model.pop("labels"))
        problem_type, thresholds = ProblemType(model.pop("problem_type", "single-label")), tuple(model.pop("thresholds", ()))
        if len(thresholds) != (len(labels) if problem_type is ProblemType.MULTI_LABEL else 0):
            raise ValueError(f"{len(thresholds)} thresholds for {len(labels)} labels of a {problem_type} model")
        sources = tuple(map(Fingerprint.from_json, document["sources"]))
        input_format = options.pop("format")
        keep = tuple(options.pop("keep", ()))
        policy = BadLinePolicy(options.pop("on_bad_line", BadLinePolicy.FAIL))
        read = ReadOptions(**options, keep=keep, format=Format(input_format) if input_format else None, on_bad_line=policy)
        types = _row_types(document.get("types", {"id": "string", "kept": []}))
        finished, counts = document["finished_at"], document["counts"]
        return cls(
            identity=RunIdentity(
                sources,
                read,
                rows_per_part,
                Model(**model),
                labels,
                Policy(document["policy"]),
                types,
                problem_type,
                thresholds,
            ),
            started_at=datetime.fromisoformat(document["started_at"]),
            finished_at=datetime.fromisoformat(finished) if finished else None,
            shards=tuple(Shard(**shard) for shard in document["shards"]),
            kept=counts["kept"],
            repeated=document["repeated"],
            bad_lines=document.get("bad_lines", 0),
            seconds=document["seconds"],
            complete=document["complete"],
            calls=CallCounts.from_json(document["calls"]),
            throughput=tuple(
                Sample(**{**sample, "breaker": BreakerState(sample["breaker"])}) for sample in document["throughput"]
            ),
        )


def is_foreign(text: str) -> bool:
    """Whether a text is JSON of another program. A damaged manifest is not JSON."""
    try:
        document = json.loads(text)
    except ValueError:
        return False
    return not isinstance(document, dict) or "schema_version" not in document


def _row_types(document: dict[str, Any]) -> RowTypes:
    types = RowTypes(document["id"], tuple(document["kept"]))
    for name in (types.id, *types.kept):
        arrow_type(name)  # raises ValueError
    return types


def _json(document: dict[str, Any]) -> str:
    """JSON with a line for each key and for each object in a list, readable with many shards."""

    def dumps(value: Any) -> str:
        text = json.dumps(value, ensure_ascii=False)
        # A file name that is not UTF-8 contains surrogates, which only an escape sequence can hold.
        return text if text.isascii() or not _SURROGATE.search(text) else json.dumps(value)

    def lines(value: Any) -> str:
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return "[\n    " + ",\n    ".join(map(dumps, value)) + "\n  ]"
        return dumps(value)

    return "{\n" + ",\n".join(f"  {dumps(key)}: {lines(value)}" for key, value in document.items()) + "\n}\n"
