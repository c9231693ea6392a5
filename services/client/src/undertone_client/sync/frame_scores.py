"""Scores of a pandas DataFrame, as a frame with the same index. Imports pandas when it is used."""

import time
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import grpc

from undertone_client.errors import SettingsError
from undertone_client.values import Failure, Outcome, Paragraph, ProblemType, Score, ServedModel

if TYPE_CHECKING:
    import pandas as pd

OnError = Literal["column", "raise"]
Progress = Callable[[int, int], None]
"""Receives the number of finished rows and of all rows."""

PROGRESS_SECONDS: Final = 0.1
"""Shortest time between two reports of progress, except for the last."""

_CHUNK_ROWS: Final = 1024
_LISTED_COLUMNS: Final = 20


@dataclass(frozen=True, slots=True)
class FrameOptions:
    """What to score and what to return; see `Client.score_frame`.

    Raises:
        SettingsError: `on_error` is invalid.
    """

    text: Hashable
    id: Hashable | None = None
    prefix: str = ""
    on_error: OnError = "column"
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if self.on_error not in ("column", "raise"):
            raise SettingsError(f"on_error is {self.on_error!r}; use 'column' or 'raise'")


def scored_frame(
    frame: "pd.DataFrame",
    options: FrameOptions,
    score: Callable[[Iterable[Paragraph]], Generator[Outcome, None, None]],
    model: Callable[[], ServedModel],
    clock: Callable[[], float] = time.monotonic,
) -> "pd.DataFrame":
    """See `Client.score_frame`.

    Args:
        frame: the frame.
        options: see `FrameOptions`.
        score: scores paragraphs, in any order. Raises `ServiceError` if the service does not
            answer.
        model: returns the model of the service, whose labels are columns.
        clock: a monotonic clock, in seconds.
    """
    pandas = _import_pandas()
    if not isinstance(frame, pandas.DataFrame):
        raise TypeError(f"score_frame() takes a pandas DataFrame, not {type(frame).__name__}; convert it first")
    texts = _column(frame, options.text, "text")
    ids = None if options.id is None else _column(frame, options.id, "id")
    rows = _Rows(len(frame), options.prefix, () if options.id is None else (options.id,))
    reported_at = -PROGRESS_SECONDS
    outcomes = score(_paragraphs(texts, rows, raises=options.on_error == "raise"))
    try:
        for outcome in outcomes:
            rows.add(int(outcome.paragraph.id), outcome)
            if isinstance(outcome, Failure) and options.on_error == "raise":
                raise _row_error(outcome, int(outcome.paragraph.id))
            if options.progress is not None and rows.finished < len(frame) and clock() - reported_at >= PROGRESS_SECONDS:
                reported_at = clock()
                options.progress(rows.finished, len(frame))
    finally:
        outcomes.close()
    if not rows.has_labels:
        served = model()
        rows.add_labels(served.labels, multi_label=served.problem_type is ProblemType.MULTI_LABEL)
    if options.progress is not None:
        options.progress(rows.finished, len(frame))
    return rows.to_frame(pandas, frame.index, None if ids is None else (options.id, ids.array))


def _import_pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise ImportError("score_frame() needs pandas: pip install 'undertone-client[pandas]'") from None
    return pandas


def _column(frame: Any, name: Hashable, option: str) -> Any:
    found = sum(1 for column in frame.columns if column == name)
    if found == 1:
        return frame[name]
    if found > 1:
        raise SettingsError(f"the frame has {found} columns named {name!r}: rename them, or set {option}")
    names = [repr(column) for column in frame.columns[:_LISTED_COLUMNS]]
    if (more := len(frame.columns) - len(names)) > 0:
        names.append(f"{more} more")
    raise SettingsError(f"the frame has no column {name!r} (its columns: {', '.join(names) or 'none'}): set {option}")


def _paragraphs(texts: Any, rows: "_Rows", *, raises: bool) -> Iterator[Paragraph]:
    """The rows that are text, with their position as the id. Others become failures."""
    for start in range(0, len(texts), _CHUNK_ROWS):
        for position, value in enumerate(texts.iloc[start : start + _CHUNK_ROWS].tolist(), start):
            if isinstance(value, str):
                yield Paragraph(str(value), str(position))
                continue
            reason = _not_text(value)
            failure = Failure(Paragraph("", str(position)), grpc.StatusCode.INVALID_ARGUMENT, reason, attempts=0)
            if raises:
                raise _row_error(failure, position)
            rows.add(position, failure)


def _not_text(value: Any) -> str:
    import pandas

    if pandas.api.types.is_scalar(value) and pandas.isna(value):
        return "the text is null"
    remedy = "decode it first" if isinstance(value, bytes | bytearray | memoryview) else "convert it to str"
    return f"the text has the type {type(value).__name__}: {remedy}"


def _row_error(failure: Failure, position: int) -> Exception:
    error = failure.error()
    error.add_note(f"Row {position} of the frame, counted from 0, has no score. on_error='column' keeps the other rows.")
    return error


@dataclass(slots=True)
class _Rows:
    """The columns of the result while rows finish, in any order.

    Args:
        count: number of rows.
        prefix: see `Client.score_frame`.
        reserved: further names of columns.
    """

    count: int
    prefix: str
    reserved: Sequence[Hashable]
    finished: int = 0
    is_multi_label: bool = False
    _labels: set[tuple[str, ...]] = field(default_factory=set)
    _probabilities: dict[str, Any] = field(default_factory=dict)  # by label
    _values: dict[str, list[Any]] = field(init=False)

    def __post_init__(self) -> None:
        self._values = {name: [None] * self.count for name in (*_TYPES, "labels_above_threshold")}
        for name in self.reserved:
            if name in self._values:
                raise SettingsError(f"the result has a column {name!r} of its own, so that id cannot be {name!r}: rename it")

    @property
    def has_labels(self) -> bool:
        """Whether the labels of the model are known."""
        return bool(self._labels)

    def add_labels(self, labels: tuple[str, ...], *, multi_label: bool) -> None:
        """Add the columns of a model. A frame has several models if it is scored during an upgrade.

        Raises:
            SettingsError: a label has the name of another column.
        """
        import numpy

        self._labels.add(labels)
        self.is_multi_label |= multi_label
        for label in labels:
            name = self.prefix + label
            if name in self._values or name in self.reserved:
                raise SettingsError(f"the model has a label {label!r}, and the result has another column {name!r}: set prefix")
            self._probabilities.setdefault(label, numpy.full(self.count, numpy.nan, numpy.float32))

    def add(self, position: int, outcome: Outcome) -> None:
        """Add the outcome of a row."""
        self.finished += 1
        values = self._values
        if isinstance(outcome, Failure):
            values["error"][position] = outcome.status.name
            values["error_message"][position] = outcome.reason
            return
        if outcome.labels not in self._labels:
            self.add_labels(outcome.labels, multi_label=outcome.problem_type is ProblemType.MULTI_LABEL)
        for label, probability in zip(outcome.labels, outcome.probabilities, strict=True):
            self._probabilities[label][position] = probability
        for name, value in _score_values(outcome):
            values[name][position] = value

    def to_frame(self, pandas: Any, index: Any, ids: tuple[Hashable, Any] | None) -> Any:
        """The result, with the column of the ids first."""
        typed = {name: pandas.array(self._values[name], dtype=dtype) for name, dtype in _TYPES.items()}
        columns: dict[Hashable, Any] = {} if ids is None else {ids[0]: ids[1]}
        columns |= {name: typed.pop(name) for name in ("label", "probability")}
        if self.is_multi_label:
            labels = pandas.Series(self._values["labels_above_threshold"], dtype=object)
            columns["labels_above_threshold"] = labels.array
        columns |= {self.prefix + label: values for label, values in self._probabilities.items()}
        return pandas.DataFrame(columns | typed, index=index)


_TYPES: Final = {
    "label": "string",
    "probability": "float32",
    "tokens": "Int32",
    "chunks": "Int32",
    "truncated": "boolean",
    "flags": "string",
    "model_name": "string",
    "model_version": "Int64",
    "precision": "string",
    "error": "string",
    "error_message": "string",
}
"""The columns of the result and their types. The columns of the labels follow the second one."""


def _score_values(score: Score) -> Iterator[tuple[str, Any]]:
    yield "label", score.label
    yield "probability", max(score.probabilities)
    yield "labels_above_threshold", list(score.labels_above_threshold)
    yield "tokens", score.tokens
    yield "chunks", score.chunks
    yield "truncated", score.truncated
    yield "flags", score.flags_text
    yield "model_name", score.model.name
    yield "model_version", score.model.version
    yield "precision", score.model.precision
