"""The lengths that batches are padded to.

The model server prepares itself for every length that it sees, once, whatever the rows: so lengths are few and tried out as
soon as there is a model (warmup.py), and rows come in any number. The steps grow with the length, so that rounding costs about
four tokens in a hundred anywhere on the scale of paragraphs.
"""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final, Self

_STEPS: Final = (*range(16, 128, 8), *range(128, 256, 16), *range(256, 512, 32), 512)
_STRIDE: Final = 64
_LANDMARK: Final = 4


@dataclass(frozen=True, slots=True)
class Lengths:
    """Allowed sequence lengths in tokens, ascending; the last is the model's maximum."""

    steps: tuple[int, ...]

    @classmethod
    def up_to(cls, max_tokens: int) -> Self:
        """Those for a model that reads at most `max_tokens`, special tokens included."""
        longer = range(_STEPS[-1] + _STRIDE, max_tokens, _STRIDE)
        return cls((*(step for step in (*_STEPS, *longer) if step < max_tokens), max_tokens))

    @property
    def landmarks(self) -> tuple[int, ...]:
        """Every fourth length and the last: none is far from one of them."""
        return (*self.steps[:-1:_LANDMARK], self.steps[-1])

    @property
    def others(self) -> tuple[int, ...]:
        """Those that are no landmarks."""
        return tuple(step for index, step in enumerate(self.steps[:-1]) if index % _LANDMARK)

    def fit(self, tokens: int) -> int:
        """The shortest allowed length that holds `tokens`."""
        return self.steps[bisect_left(self.steps, tokens)]
