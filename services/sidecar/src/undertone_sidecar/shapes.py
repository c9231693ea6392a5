"""The lengths that batches are padded to.

The model server prepares itself once for every tensor shape that it sees, so the sidecar offers it few: a batch is as long as
the next of these lengths. The steps keep the padding of a single paragraph under a third beyond the first 64 tokens.
"""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final, Self

_STEPS: Final = (16, 32, 48, 64, 96, 128, 160, 192, 256, 320, 384, 448, 512)
_STRIDE: Final = 128


@dataclass(frozen=True, slots=True)
class Lengths:
    """Allowed sequence lengths in tokens, ascending; the last is the model's maximum."""

    steps: tuple[int, ...]

    @classmethod
    def up_to(cls, max_tokens: int) -> Self:
        """Those for a model that reads at most `max_tokens`, special tokens included."""
        longer = range(_STEPS[-1] + _STRIDE, max_tokens, _STRIDE)
        return cls((*(step for step in (*_STEPS, *longer) if step < max_tokens), max_tokens))

    def fit(self, tokens: int) -> int:
        """The shortest allowed length that holds `tokens`."""
        return self.steps[bisect_left(self.steps, tokens)]
