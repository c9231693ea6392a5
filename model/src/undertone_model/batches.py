"""Token ids in batches of like length, so that little of the work is padding."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Rows of one batch: their positions in the data, and ids and mask [rows, length] (int32)."""

    rows: NDArray[np.int64]
    input_ids: NDArray[np.int32]
    attention_mask: NDArray[np.int32]


def encode(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
    """Token ids of each text, special tokens included, cut to `max_tokens`."""
    tokenizer.enable_truncation(max_tokens)
    encodings: list[Encoding] = tokenizer.encode_batch(list(texts))
    tokenizer.no_truncation()
    return [encoding.ids for encoding in encodings]


def batches(
    ids: Sequence[Sequence[int]], budget: int, rows: NDArray[np.int64] | None = None, random: np.random.Generator | None = None
) -> Iterator[TokenBatch]:
    """Splits `rows` (default: all) into batches of at most `budget` padded tokens (one row at least), longest first.

    With `random`, rows of like length are shuffled among each other and the batches come in random order.
    """
    rows = np.arange(len(ids)) if rows is None else rows
    lengths = np.array([len(ids[row]) for row in rows])
    jitter = random.uniform(-0.15, 0.15, len(rows)) * lengths if random else np.zeros(len(rows))
    order = rows[np.argsort(-(lengths + jitter), kind="stable")]
    groups: list[list[int]] = []
    width = 0
    for row in order.tolist():
        longest = max(width, len(ids[row]))
        if groups and longest * (len(groups[-1]) + 1) <= budget:
            groups[-1].append(row)
            width = longest
        else:
            groups.append([row])
            width = len(ids[row])
    for group in random.permutation(len(groups)) if random else range(len(groups)):
        yield pad(ids, groups[group])


def pad(ids: Sequence[Sequence[int]], rows: Sequence[int]) -> TokenBatch:
    """Stacks the rows, filling up with zeros."""
    length = max(len(ids[row]) for row in rows)
    input_ids = np.zeros((len(rows), length), np.int32)
    attention_mask = np.zeros((len(rows), length), np.int32)
    for position, row in enumerate(rows):
        input_ids[position, : len(ids[row])] = ids[row]
        attention_mask[position, : len(ids[row])] = 1
    return TokenBatch(np.array(rows), input_ids, attention_mask)
