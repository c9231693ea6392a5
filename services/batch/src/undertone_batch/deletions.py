"""The check of a source that suddenly lacks many paragraphs of the table."""

import math
from dataclasses import dataclass

from undertone_batch.errors import TooManyDeletedError

ALWAYS_ALLOWED = 10
"""The number of deletions that any source may cause, unless it is empty.

In a table of a few rows, one deleted paragraph is a large share.
"""


@dataclass(frozen=True, slots=True)
class Deletions:
    """What a run would mark as deleted.

    Attributes:
        deleted: Rows of the table that the run would mark.
        rows: Rows of the table that are not marked yet.
        present: Paragraphs of the source that can have a score.
    """

    deleted: int
    rows: int
    present: int

    @property
    def share(self) -> float:
        """The share of the rows that the run would mark."""
        return self.deleted / self.rows if self.rows else 0.0

    def check(self, max_share: float) -> None:
        """Refuses a source that lacks too many paragraphs.

        Such a source is more often damaged than true: one open quote in a CSV file hides all
        paragraphs after it.

        Args:
            max_share: The share of the rows that a run may mark, from 0 to 1.

        Raises:
            TooManyDeletedError: the run would mark more than `max_share` and more than
                ALWAYS_ALLOWED rows, or all rows because the source is empty.
        """
        if self.share <= max_share or (self.deleted <= ALWAYS_ALLOWED and self.present):
            return
        raise TooManyDeletedError(
            f"the source lacks {self.deleted:,} of the {self.rows:,} paragraphs of the table ({self.share:.2%}), and has"
            f" {self.present:,} that can have a score, but --max-deleted-share allows to mark {max_share:.2%} as deleted."
            " Nothing was scored. Check the source, for example for a missing file, an open quote in a CSV file, or ids that"
            " were renamed. If the paragraphs were removed, add --max-deleted-share"
            f" {math.ceil(self.share * 100) / 100}. If the source contains only a part of the data, add --deletions ignore"
        )
