"""The data of a report: scores, totals per label, strongest paragraphs, failures and texts."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
from undertone_client.jobs import InputError, OutputError
from undertone_client.jobs.score_columns import LABELS_ABOVE_THRESHOLD_COLUMN, MODEL_COLUMNS

from undertone_cli.formatting import percent
from undertone_cli.readers import InputParagraph, InputSet
from undertone_cli.run_folder import FailureRecord, Manifest, RunFolder, RunIdentity, ScoreTable

EXAMPLE_IDS = 5
_SETS = LABELS_ABOVE_THRESHOLD_COLUMN.name


@dataclass(frozen=True, slots=True)
class LabelTotal:
    """Totals of one label over all scored paragraphs.

    Attributes:
        label: the label.
        paragraphs: number of paragraphs that have the label. With a single-label model, each
            paragraph has its most probable label.
        share: share of these paragraphs.
        mean: mean probability.
        threshold: the smallest probability with which a paragraph has the label. None with a
            single-label model.
    """

    label: str
    paragraphs: int
    share: float
    mean: float
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class StrongParagraph:
    """A paragraph with a high probability of a label, without its text."""

    id: str | int
    document: str
    position: int
    text_sha256: str
    probability: float


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures with the same gRPC status: their number, most frequent reason, and the first ids."""

    status: str
    count: int
    reason: str
    ids: tuple[str | int, ...]


def read_scores(folder: RunFolder, manifest: Manifest) -> pa.Table:
    """All scores as one Arrow table, sorted by document and position.

    Raises:
        OutputError: there are no scores, a part is damaged, or the parts are of different models.
    """
    reader = ScoreTable(manifest.identity)
    parts = [reader.read(path) for path in folder.parts()]
    table = pa.concat_tables(parts) if parts else reader.schema.empty_table()
    if table.num_rows == 0:
        raise OutputError(f"{folder.path} contains no scores: {_reason_empty(manifest)}")
    for label in manifest.identity.labels:
        if not pc.all(pc.is_finite(table[label])).as_py():
            raise OutputError(
                f"{folder.path}: the column {label!r} has missing or infinite values, so the table is damaged; "
                "score into a new folder"
            )
    _check_one_model(folder, table)
    return table.sort_by([("document", "ascending"), ("position", "ascending")])


def label_totals(scores: pa.Table, identity: RunIdentity, labels: Sequence[str]) -> list[LabelTotal]:
    """Totals of each label, in the given order."""
    assigned = pc.list_flatten(scores[_SETS]) if identity.multi_label else scores["label"]
    counts = {entry["values"].as_py(): entry["counts"].as_py() for entry in pc.value_counts(assigned)}
    thresholds = dict(zip(identity.labels, identity.thresholds, strict=True)) if identity.multi_label else {}
    return [
        LabelTotal(
            label,
            counts.get(label, 0),
            counts.get(label, 0) / scores.num_rows,
            pc.mean(scores[label]).as_py(),
            thresholds.get(label),
        )
        for label in labels
    ]


def unlabelled_paragraphs(scores: pa.Table, identity: RunIdentity) -> int:
    """Number of paragraphs without a label. 0 with a single-label model."""
    return pc.sum(pc.equal(pc.list_value_length(scores[_SETS]), 0)).as_py() if identity.multi_label else 0


def describe_totals(totals: Sequence[LabelTotal], unlabelled: float | None = None) -> str:
    """One or two sentences: the three most frequent labels, and the share without a label.

    Args:
        totals: the totals of all labels.
        unlabelled: share of the paragraphs without a label. None with a single-label model.
    """
    first, *others = sorted(totals, key=lambda total: -total.paragraphs)[:3]
    others = [total for total in others if total.paragraphs]
    if not first.paragraphs:
        return "No paragraph has a label."
    verb = "leads in" if unlabelled is None else "is a label of"
    sentence = f"{first.label[:1].upper()}{first.label[1:]} {verb} {percent(first.share)} of the paragraphs"
    if others:
        sentence += ", followed by " + " and ".join(f"{total.label} ({percent(total.share)})" for total in others)
    if unlabelled is None:
        return sentence + "."
    rest = f"{percent(unlabelled)} of the paragraphs have no label" if unlabelled else "Every paragraph has a label"
    return f"{sentence}. {rest}."


def strongest_paragraphs(scores: pa.Table, label: str, *, count: int) -> list[StrongParagraph]:
    """The paragraphs with the highest probability of a label; ties by document and position."""
    # Arrow reads a name that begins with a dot or a bracket as a path of nested fields.
    names = ["id", "document", "position", "text_sha256"]
    columns = scores.select([*names, label]).rename_columns([*names, "probability"])
    keys = [("probability", "descending"), ("document", "ascending"), ("position", "ascending")]
    rows = columns.take(pc.select_k_unstable(columns, count, sort_keys=keys))
    return [StrongParagraph(**row) for row in rows.to_pylist()]


def group_failures(failures: Iterable[FailureRecord]) -> list[FailureGroup]:
    """A group for each status, by descending number of failures."""
    counts: Counter[str] = Counter()
    reasons: defaultdict[str, Counter[str]] = defaultdict(Counter)
    ids: defaultdict[str, list[str | int]] = defaultdict(list)
    for failure in failures:
        counts[failure.status] += 1
        reasons[failure.status][failure.reason] += 1
        if len(ids[failure.status]) < EXAMPLE_IDS:
            ids[failure.status].append(failure.id)
    return [
        FailureGroup(status, count, reasons[status].most_common(1)[0][0], tuple(ids[status]))
        for status, count in counts.most_common()
    ]


def find_texts(identity: RunIdentity, hashes: Collection[str]) -> dict[str, str]:
    """Texts by SHA-256, from the run's inputs, as far as the inputs still contain them.

    Stops reading when all are found.

    Raises:
        InputError: texts are missing, and an input that may have them cannot be read.
    """
    missing = set(hashes)
    found: dict[str, str] = {}
    problems: list[InputError] = []
    for paragraph in _readable_paragraphs(identity, problems):
        if paragraph.text is not None and paragraph.text_sha256 in missing:
            found[paragraph.text_sha256] = paragraph.text
            missing.discard(paragraph.text_sha256)
        if not missing:
            break
    if missing and problems:
        raise InputError(f"the texts are missing: {problems[0]}; restore this input, or leave out --with-text")
    return found


def _readable_paragraphs(identity: RunIdentity, problems: list[InputError]) -> Iterator[InputParagraph]:
    options = replace(identity.options, keep=())
    for source in identity.sources:
        if source.sha256 is None:  # a pipe
            continue
        try:
            yield from InputSet([source.input], options).paragraphs()
        except InputError as error:
            problems.append(error)


def _check_one_model(folder: RunFolder, table: pa.Table) -> None:
    names = [field.name for field in MODEL_COLUMNS]
    models = table.select(names).group_by(names).aggregate([]).to_pylist()
    if len(models) > 1:
        found = ", ".join(sorted("{model_name} {model_version} {precision} ({policy})".format(**model) for model in models))
        raise OutputError(
            f"{folder.path} mixes scores of different models, which are not comparable: {found}; score each into its own folder"
        )


def _reason_empty(manifest: Manifest) -> str:
    if manifest.failed:
        return f"all {manifest.failed} paragraphs failed; see _failures.jsonl"
    return "no paragraph was scored; check that the input is not empty, and run `undertone score` again"
