"""Two runs compared: the labels and probabilities that changed, in total and in each story.

The figures are those of the views of `undertone compare`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from undertone_client.errors import SettingsError
from undertone_client.jobs import OutputError

from undertone_cli.run_folder import Manifest, RunFolder
from undertone_cli.sql import SqlSession, open_source

MAX_FLIPS = 15
MAX_SHIFTS = 30
MAX_PARAGRAPHS = 12


@dataclass(frozen=True, slots=True)
class Flip:
    """Paragraphs whose labels changed in the same way. `share` is of those with `before`."""

    before: str
    after: str
    paragraphs: int
    share: float


@dataclass(frozen=True, slots=True)
class Shift:
    """How the probability of a label changed: both means, and the mean absolute difference."""

    label: str
    before: float
    after: float
    absolute: float


@dataclass(frozen=True, slots=True)
class StoryChange:
    """The compared paragraphs of a document, those with changed labels, and the mean distance."""

    document: str
    compared: int
    flipped: int
    shift: float

    @property
    def share(self) -> float:
        """Share of the compared paragraphs whose labels changed."""
        return self.flipped / self.compared


@dataclass(frozen=True, slots=True)
class ChangedParagraph:
    """A paragraph whose probabilities changed much."""

    id: str | int
    document: str
    position: int
    text_sha256: str
    before: str
    after: str
    shift: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The run compared with an older one. A paragraph is compared if id and text are the same.

    Attributes:
        name: name of the older run.
        run: its manifest.
        paragraphs_before: paragraphs of the older run.
        compared: paragraphs that are compared.
        flipped: those whose labels changed.
        mean_shift: mean distance of the probabilities, each from 0 (equal) to 1.
        flips: the most frequent changes of labels.
        flip_kinds: number of different changes of labels.
        shifts: labels by descending mean absolute difference.
        stories: the changes of each document.
        paragraphs: the paragraphs whose probabilities changed most.
        places: document and position of each paragraph whose labels changed.
    """

    name: str
    run: Manifest
    paragraphs_before: int
    compared: int
    flipped: int
    mean_shift: float
    flips: Sequence[Flip]
    flip_kinds: int
    shifts: Sequence[Shift]
    stories: Mapping[str, StoryChange]
    paragraphs: Sequence[ChangedParagraph]
    places: pa.Table


def compare_runs(path: Path, older: Path) -> Comparison:
    """Compare the run in the folder `path` with that in the folder `older`.

    Raises:
        OutputError: `older` has no run, or no paragraph is in both runs with the same text.
        SettingsError: DuckDB is missing.
        InputError: the scores cannot be read.
    """
    manifest = RunFolder(older).read_manifest()
    if manifest is None:
        raise OutputError(f"{older} has no _run.json; name a folder that `undertone score --out` wrote (--compare)")
    with SqlSession(open_source(str(path), _no_catalog), open_source(str(older), _no_catalog)) as session:

        def rows(query: str, *parameters: object) -> list[dict[str, Any]]:
            return list(session.read(query, parameters).read_all().to_pylist())

        totals = rows("FROM changes")[0]
        if not totals["compared"]:
            raise OutputError(
                f"{path} and {older} have no paragraph with the same id and the same text: compare runs of the same inputs"
            )
        flips = rows("FROM label_flips WHERE flipped ORDER BY paragraphs DESC, labels_before, labels_after")
        shifts = rows("FROM probability_shifts ORDER BY mean_absolute_shift DESC, emotion LIMIT ?", MAX_SHIFTS)
        stories = rows(
            "SELECT document, COUNT(*) AS compared, CAST(SUM(CASE WHEN flipped THEN 1 ELSE 0 END) AS BIGINT) AS flipped,"
            " AVG(shift) AS shift FROM changed_paragraphs GROUP BY document ORDER BY document"
        )
        paragraphs = rows(
            "SELECT id, document, position, text_sha256, labels_before AS before, labels_after AS after, shift"
            " FROM changed_paragraphs WHERE shift > 0 ORDER BY shift DESC, document, position LIMIT ?",
            MAX_PARAGRAPHS,
        )
        places = session.read("SELECT document, position FROM changed_paragraphs WHERE flipped").read_all()
    return Comparison(
        name=older.resolve().name,
        run=manifest,
        paragraphs_before=totals["paragraphs_before"],
        compared=totals["compared"],
        flipped=totals["flipped"],
        mean_shift=totals["mean_shift"],
        flips=[
            Flip(row["labels_before"], row["labels_after"], row["paragraphs"], row["share_of_before"])
            for row in flips[:MAX_FLIPS]
        ],
        flip_kinds=len(flips),
        shifts=[Shift(row["emotion"], row["mean_before"], row["mean_after"], row["mean_absolute_shift"]) for row in shifts],
        stories={row["document"]: StoryChange(**row) for row in stories},
        paragraphs=[ChangedParagraph(**row) for row in paragraphs],
        places=places,
    )


def _no_catalog() -> Any:
    raise SettingsError("--compare takes a folder of `undertone score`, not a table")
