import math
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_sidecar.model import PaddedLengths


@given(st.integers(8, 2000))
@settings(max_examples=100, deadline=None)
def test_every_sequence_fits_a_padded_length_with_little_padding(max_tokens: int) -> None:
    lengths = PaddedLengths.up_to(max_tokens)
    assert lengths.values[-1] == max_tokens
    assert all(earlier < later for earlier, later in pairwise(lengths.values))
    for tokens in range(1, max_tokens + 1):
        fit = lengths.fit(tokens)
        assert tokens <= fit <= max_tokens
        assert tokens <= 64 or fit <= math.ceil(tokens * 1.5)


@given(st.integers(8, 2000))
def test_every_length_is_warmed_up_once_and_the_longest_before_ready(max_tokens: int) -> None:
    lengths = PaddedLengths.up_to(max_tokens)
    assert sorted((*lengths.warm_before_ready, *lengths.warm_later)) == list(lengths.values)
    assert lengths.warm_before_ready[-1] == max_tokens
