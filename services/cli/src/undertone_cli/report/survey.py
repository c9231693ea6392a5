"""The first reading of the scores: totals, strongest paragraphs, and the range of each document.

The scores are read part by part, so that memory depends on the largest part and on the number of
documents, not on the number of paragraphs.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from undertone_client.jobs import OutputError
from undertone_client.jobs.score_columns import FLAGS_COLUMN, LABELS_ABOVE_THRESHOLD_COLUMN, MODEL_COLUMNS

from undertone_cli.flag_reasons import split_flags
from undertone_cli.report.summary import LabelTotal, StrongParagraph
from undertone_cli.run_folder import Manifest, RunFolder, RunIdentity, ScoreTable

CONFIDENCE_RANGES = 10
"""Equal ranges of the probability, in which paragraphs are counted by their confidence."""
SETS = LABELS_ABOVE_THRESHOLD_COLUMN.name
_MODEL_NAMES = [field.name for field in MODEL_COLUMNS]


@dataclass(frozen=True, slots=True)
class DocumentRange:
    """The scored paragraphs of a document: the first and the last position, and their number."""

    first: int
    last: int
    paragraphs: int


@dataclass(frozen=True, slots=True)
class Survey:
    """Totals of all scores. Lists by label are in the given order of the labels.

    Attributes:
        labels: totals of each label.
        strongest: paragraphs with the highest probabilities of each label; ties by document and
            position.
        unlabelled: number of paragraphs without a label. 0 with a single-label model.
        confidence: mean of the highest probability of a paragraph.
        confidence_counts: number of paragraphs in each of `CONFIDENCE_RANGES` ranges of it.
        documents: the range of each document.
        tokens: tokens of all paragraphs.
        truncated: paragraphs whose end was not scored.
        chunked: paragraphs that were scored in chunks.
        flagged: paragraphs whose score is not reliable.
        flags: number of paragraphs with each flag, by its name.
    """

    labels: Sequence[LabelTotal]
    strongest: Sequence[Sequence[StrongParagraph]]
    paragraphs: int
    unlabelled: int
    confidence: float
    confidence_counts: Sequence[int]
    documents: dict[str, DocumentRange]
    tokens: int
    truncated: int
    chunked: int
    flagged: int
    flags: Mapping[str, int]


def read_parts(folder: RunFolder, identity: RunIdentity) -> Iterator[pa.Table]:
    """The scores, part by part, in the order of the input.

    Raises:
        OutputError: a part is damaged.
    """
    reader = ScoreTable(identity)
    for path in folder.parts():
        table = reader.read(path)
        for label in identity.labels:
            if not pc.all(pc.is_finite(table[label]), min_count=0).as_py():
                raise OutputError(
                    f"{folder.path}: the column {label!r} has missing or infinite values, so the table is damaged; "
                    "score into a new folder"
                )
        if table.num_rows:
            yield table


def survey(folder: RunFolder, manifest: Manifest, labels: Sequence[str], *, strongest: int) -> Survey:
    """Read all scores.

    Args:
        folder: the folder of the run.
        manifest: its manifest.
        labels: the labels of the model, in the order of the result.
        strongest: the number of strongest paragraphs of each label.

    Raises:
        OutputError: there are no scores, a part is damaged, or the parts are of different models.
    """
    totals = _Totals(manifest.identity, labels, strongest)
    for table in read_parts(folder, manifest.identity):
        totals.add(table)
    if not totals.paragraphs:
        raise OutputError(f"{folder.path} contains no scores: {_reason_empty(manifest)}")
    if len(totals.models) > 1:
        found = ", ".join(sorted("{} {} {} ({})".format(*model) for model in totals.models))
        raise OutputError(
            f"{folder.path} mixes scores of different models, which are not comparable: {found}; score each into its own folder"
        )
    return totals.survey()


class _Totals:
    def __init__(self, identity: RunIdentity, labels: Sequence[str], strongest: int) -> None:
        self._identity = identity
        self._labels = labels
        self._count = strongest
        self._sums = [0.0] * len(labels)
        self._assigned: Counter[str] = Counter()
        self._assigned_sums: defaultdict[str, float] = defaultdict(float)
        self._strongest: list[list[StrongParagraph]] = [[] for _ in labels]
        self._confidence = 0.0
        self._ranges = [0] * CONFIDENCE_RANGES
        self._documents: dict[str, DocumentRange] = {}
        self._counts: Counter[str] = Counter()
        self._flags: Counter[str] = Counter()
        self.paragraphs = 0
        self.models: set[tuple[Any, ...]] = set()

    def add(self, table: pa.Table) -> None:
        self.paragraphs += table.num_rows
        self.models |= {tuple(row[name] for name in _MODEL_NAMES) for row in _distinct(table.select(_MODEL_NAMES))}
        self._counts["tokens"] += pc.sum(table["tokens"]).as_py()
        self._counts["truncated"] += pc.sum(table["truncated"]).as_py()
        self._counts["chunked"] += pc.sum(pc.greater(table["chunks"], 1)).as_py()
        self._add_flags(table)
        self._add_labels(table)
        self._add_confidence(table)
        ranges = table.select(["document", "position"]).group_by("document")
        for row in ranges.aggregate([("position", "min"), ("position", "max"), ("position", "count")]).to_pylist():
            name, new = row["document"], DocumentRange(row["position_min"], row["position_max"], row["position_count"])
            if (old := self._documents.get(name)) is not None:
                new = DocumentRange(min(old.first, new.first), max(old.last, new.last), old.paragraphs + new.paragraphs)
            self._documents[name] = new

    def _add_labels(self, table: pa.Table) -> None:
        for index, label in enumerate(self._labels):
            column = table[label]
            self._sums[index] += pc.sum(column).as_py()
            self._strongest[index] = self._merge(self._strongest[index], table, label)
            if not self._identity.multi_label:
                self._assigned_sums[label] += pc.sum(column.filter(pc.equal(table["label"], label))).as_py() or 0.0
        if self._identity.multi_label:
            sets = table[SETS].combine_chunks()
            self._counts["unlabelled"] += pc.sum(pc.equal(pc.list_value_length(sets), 0)).as_py()
            parents, names = pc.list_parent_indices(sets), pc.list_flatten(sets)
            for label in self._labels:
                rows = parents.filter(pc.equal(names, label))
                self._assigned[label] += len(rows)
                self._assigned_sums[label] += pc.sum(table[label].take(rows)).as_py() or 0.0
        else:
            self._assigned.update(
                {entry["values"].as_py(): entry["counts"].as_py() for entry in pc.value_counts(table["label"])}
            )

    def _add_flags(self, table: pa.Table) -> None:
        for entry in pc.value_counts(table[FLAGS_COLUMN.name]):
            if flags := split_flags(entry["values"].as_py()):
                count = entry["counts"].as_py()
                self._counts["flagged"] += count
                self._flags.update(dict.fromkeys(flags, count))

    def _merge(self, old: list[StrongParagraph], table: pa.Table, label: str) -> list[StrongParagraph]:
        # Arrow reads a name that begins with a dot or a bracket as a path of nested fields.
        names = ["id", "document", "position", "text_sha256", FLAGS_COLUMN.name]
        columns = table.select([*names, label]).rename_columns([*names, "probability"])
        keys = [("probability", "descending"), ("document", "ascending"), ("position", "ascending")]
        rows = columns.take(pc.select_k_unstable(columns, self._count, sort_keys=keys)).to_pylist()
        merged = old + [StrongParagraph(**row) for row in rows]
        return sorted(merged, key=lambda each: (-each.probability, each.document, each.position))[: self._count]

    def _add_confidence(self, table: pa.Table) -> None:
        confidence = highest(table, self._labels)
        self._confidence += pc.sum(confidence).as_py()
        # Rounded, because the 32-bit float of 0.7 is below 0.7.
        ranges = pc.floor(pc.round(pc.multiply(confidence, float(CONFIDENCE_RANGES)), 5)).cast(pa.int64())
        for entry in pc.value_counts(ranges):
            self._ranges[min(entry["values"].as_py(), CONFIDENCE_RANGES - 1)] += entry["counts"].as_py()

    def survey(self) -> Survey:
        identity = self._identity
        thresholds = dict(zip(identity.labels, identity.thresholds, strict=True)) if identity.multi_label else {}
        totals = [
            LabelTotal(
                label,
                count := self._assigned[label],
                count / self.paragraphs,
                total / self.paragraphs,
                self._assigned_sums[label] / count if count else None,
                thresholds.get(label),
            )
            for label, total in zip(self._labels, self._sums, strict=True)
        ]
        return Survey(
            labels=totals,
            strongest=self._strongest,
            paragraphs=self.paragraphs,
            unlabelled=self._counts["unlabelled"],
            confidence=self._confidence / self.paragraphs,
            confidence_counts=self._ranges,
            documents=self._documents,
            tokens=self._counts["tokens"],
            truncated=self._counts["truncated"],
            chunked=self._counts["chunked"],
            flagged=self._counts["flagged"],
            flags=self._flags,
        )


def highest(scores: pa.Table, labels: Sequence[str]) -> pa.ChunkedArray:
    """The highest probability of the labels in each row, as float64."""
    return pc.max_element_wise(*(scores[label].cast(pa.float64()) for label in labels))


def _distinct(table: pa.Table) -> Iterable[dict[str, Any]]:
    yield from table.group_by(table.column_names).aggregate([]).to_pylist()


def _reason_empty(manifest: Manifest) -> str:
    if manifest.failed:
        return f"all {manifest.failed} paragraphs failed; see _failures.jsonl"
    return "no paragraph was scored; check that the input is not empty, and run `undertone score` again"
