"""Paragraphs longer than the model's input: splits them into chunks, and merges the results."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from undertone_sidecar.errors import ParagraphError

Probabilities = npt.NDArray[np.float32]
"""Probability of each label: shape [labels]."""


class OverlengthPolicy(Enum):
    """Handling of a paragraph that has more tokens than the model accepts."""

    TRUNCATE = "truncate"
    CHUNK_MEAN = "chunk_mean"
    CHUNK_MAX = "chunk_max"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tokens `start` to `stop` of a paragraph. `new_tokens` of them are in no earlier chunk."""

    start: int
    stop: int
    new_tokens: int


def sliding_chunks(tokens: int, *, width: int, overlap: int) -> tuple[Chunk, ...]:
    """Chunks of `width` tokens that cover all tokens.

    Each chunk shares at least `overlap` tokens with the previous chunk.

    The last chunk starts early enough to have the full width, so that the model always sees enough
    context. A paragraph that fits has one chunk of its own length.
    """
    if tokens <= width:
        return (Chunk(0, tokens, tokens),)
    starts = [*range(0, tokens - width, width - overlap), tokens - width]
    covered = 0
    chunks = []
    for start in starts:
        stop = start + width
        chunks.append(Chunk(start, stop, stop - covered))
        covered = stop
    return tuple(chunks)


def split(
    tokens: int, *, width: int, overlap: int, policy: OverlengthPolicy, max_chunks: int, window: int | None = None
) -> tuple[Chunk, ...]:
    """The chunks of a paragraph under a policy.

    Args:
        tokens: Tokens of the paragraph, without special tokens.
        width: Maximum tokens of a chunk without its special tokens.
        overlap: Tokens that neighbouring chunks share.
        policy: Handling of a paragraph that does not fit.
        max_chunks: Maximum number of chunks of `width` tokens that hold the paragraph.
        window: Tokens of the chunks of CHUNK_MAX, without special tokens. They share at most a
            quarter of their tokens. Default: as the other chunks.

    Raises:
        ParagraphError: The paragraph does not fit and the policy is REJECT, or it has too many
            chunks.
    """
    if tokens <= width:
        return (Chunk(0, tokens, tokens),)
    match policy:
        case OverlengthPolicy.TRUNCATE:
            return (Chunk(0, width, width),)
        case OverlengthPolicy.REJECT:
            raise ParagraphError(
                f"text has {tokens} tokens without special tokens, but the model accepts at most {width}: "
                "shorten it, or use an overlength_policy other than REJECT"
            )
        case OverlengthPolicy.CHUNK_MEAN | OverlengthPolicy.CHUNK_MAX:
            step = width - overlap
            most = width + (max_chunks - 1) * step
            if tokens > most:
                chunks = 1 + -(-(tokens - width) // step)
                raise ParagraphError(
                    f"text has {tokens} tokens without special tokens, which are {chunks} chunks; the limit is {max_chunks} "
                    f"chunks, or {most} tokens: split it into paragraphs, or use the overlength_policy TRUNCATE"
                )
            if policy is OverlengthPolicy.CHUNK_MAX and window is not None:
                return sliding_chunks(tokens, width=window, overlap=min(overlap, window // 4))
            return sliding_chunks(tokens, width=width, overlap=overlap)


def merge(
    results: Sequence[Probabilities],
    chunks: Sequence[Chunk],
    policy: OverlengthPolicy,
    *,
    is_multi_label: bool,
    neutral: int | None = None,
) -> Probabilities:
    """Merges the probabilities of all chunks into one for each label.

    CHUNK_MAX takes the largest probability of each label, and the smallest of the label with the
    index `neutral`: a paragraph is neutral if all of its chunks are. Every other policy takes the
    mean, weighted by new tokens, so that a token in two chunks counts once. The probabilities of a
    single-label model are then scaled to sum to one.
    """
    if len(results) == 1:
        return results[0]
    stacked = np.array(results, dtype=np.float64)
    if policy is OverlengthPolicy.CHUNK_MAX:
        merged = stacked.max(axis=0)
        if neutral is not None:
            merged[neutral] = stacked[:, neutral].min()
    else:
        weights = np.array([chunk.new_tokens for chunk in chunks], dtype=np.float64)
        merged = weights @ stacked / weights.sum()
    if not is_multi_label:
        merged /= merged.sum()
    rounded: Probabilities = merged.astype(np.float32)
    return rounded
