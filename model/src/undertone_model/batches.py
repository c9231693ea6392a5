"""Batches of token sequences with similar lengths, to reduce padding."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """One padded batch. `rows` are indices in the data; the other arrays are [rows, length]."""

    rows: NDArray[np.int64]
    input_ids: NDArray[np.int32]
    attention_mask: NDArray[np.int32]


def encode(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
    """Token ids of each text, truncated to `max_tokens`, the special tokens around it included.

    As in the sidecar, added tokens that are special are not found in a text. `served_tokenizer`
    makes sure that no other step of the tokenizer finds them.
    """
    tokenizer.encode_special_tokens = True
    tokenizer.enable_truncation(max_tokens)
    encodings: list[Encoding] = tokenizer.encode_batch(list(texts))
    tokenizer.no_truncation()
    return [encoding.ids for encoding in encodings]


def make_batches(
    ids: Sequence[Sequence[int]],
    max_padded_tokens: int,
    rows: NDArray[np.int64] | None = None,
    random: np.random.Generator | None = None,
) -> Iterator[TokenBatch]:
    """Splits `rows` (default: all) into batches of at most `max_padded_tokens`, longest first.

    A longer row has a batch of its own. With `random`, rows of similar lengths are shuffled and the
    order of the batches is random.
    """
    rows = np.arange(len(ids)) if rows is None else rows
    lengths = np.array([len(ids[row]) for row in rows])
    jitter = random.uniform(-0.15, 0.15, len(rows)) * lengths if random else np.zeros(len(rows))
    order = rows[np.argsort(-(lengths + jitter), kind="stable")]
    groups: list[list[int]] = []
    width = 0
    for row in order.tolist():
        new_width = max(width, len(ids[row]))
        if groups and new_width * (len(groups[-1]) + 1) <= max_padded_tokens:
            groups[-1].append(row)
            width = new_width
        else:
            groups.append([row])
            width = len(ids[row])
    for group in random.permutation(len(groups)) if random else range(len(groups)):
        yield pad_batch(ids, groups[group])


def pad_batch(ids: Sequence[Sequence[int]], rows: Sequence[int]) -> TokenBatch:
    """The batch of these rows, padded with zeros to the longest."""
    length = max(len(ids[row]) for row in rows)
    input_ids = np.zeros((len(rows), length), np.int32)
    attention_mask = np.zeros((len(rows), length), np.int32)
    for position, row in enumerate(rows):
        input_ids[position, : len(ids[row])] = ids[row]
        attention_mask[position, : len(ids[row])] = 1
    return TokenBatch(np.array(rows), input_ids, attention_mask)
