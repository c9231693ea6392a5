"""Paragraphs longer than the model: where to cut them, and how to make one answer of the pieces."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from undertone_sidecar.errors import ParagraphError

Probabilities = npt.NDArray[np.float32]
"""One probability for each label: shape [labels]."""


class Policy(Enum):
    """What to do with a paragraph that has more tokens than the model can read at once."""

    TRUNCATE = "truncate"
    CHUNK_MEAN = "chunk_mean"
    CHUNK_MAX = "chunk_max"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens `start` to `stop` of a paragraph, of which `added` are in no window before."""

    start: int
    stop: int
    added: int


def windows(tokens: int, *, width: int, overlap: int) -> tuple[Window, ...]:
    """Windows of `width` tokens, each sharing at least `overlap` with the one before, that cover all `tokens`.

    The last window starts early enough to be as wide as the others, so that no piece is judged by a few tokens out of context.
    A paragraph that fits has one window, as wide as itself.
    """
    if tokens <= width:
        return (Window(0, tokens, tokens),)
    starts = [*range(0, tokens - width, width - overlap), tokens - width]
    covered = 0
    cut = []
    for start in starts:
        stop = start + width
        cut.append(Window(start, stop, stop - covered))
        covered = stop
    return tuple(cut)


def plan(tokens: int, *, width: int, overlap: int, policy: Policy) -> tuple[Window, ...]:
    """The windows of a paragraph of `tokens` tokens under a policy; raises ParagraphError if the policy is REJECT.

    Special tokens are not counted: `width` is what the model reads less the special tokens that each window gets.
    """
    if tokens <= width:
        return (Window(0, tokens, tokens),)
    match policy:
        case Policy.TRUNCATE:
            return (Window(0, width, width),)
        case Policy.REJECT:
            raise ParagraphError(
                f"text has {tokens} tokens, special tokens not counted, and the model reads {width} at once: "
                "shorten it, or ask for another overlength_policy than OVERLENGTH_POLICY_REJECT"
            )
        case Policy.CHUNK_MEAN | Policy.CHUNK_MAX:
            return windows(tokens, width=width, overlap=overlap)


def merge(pieces: Sequence[Probabilities], plan: Sequence[Window], policy: Policy) -> Probabilities:
    """One distribution of the windows' distributions.

    CHUNK_MAX takes the largest probability of each label, scaled to sum to one; every other policy takes the mean weighted by
    the tokens that each window adds, so that a token in two windows does not count twice.
    """
    if len(pieces) == 1:
        return pieces[0]
    stacked = np.array(pieces, dtype=np.float64)
    if policy is Policy.CHUNK_MAX:
        weighted = stacked.max(axis=0)
    else:
        weighted = np.array([window.added for window in plan], dtype=np.float64) @ stacked
    merged: Probabilities = (weighted / weighted.sum()).astype(np.float32)
    return merged
