import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_protos.v1 import contract_pb2
from undertone_sidecar.lengths import PaddedLengths, attention_length

BERT_BASE = contract_pb2.Architecture(layers=12, hidden_size=768, encoder_parameters=12 * (4 + 8) * 768 * 768)


@given(st.integers(8, 8192))
@settings(max_examples=50, deadline=None)
def test_every_sequence_fits_a_padded_length_with_little_padding(max_tokens: int) -> None:
    lengths = PaddedLengths.up_to(max_tokens)
    assert lengths.values[-1] == max_tokens
    assert all(earlier < later for earlier, later in pairwise(lengths.values))
    for tokens in range(1, max_tokens + 1):
        fit = lengths.fit(tokens)
        assert tokens <= fit <= max_tokens
        assert fit <= max(16, tokens + 8, math.ceil(tokens * 9 / 8))


def test_a_long_model_has_few_lengths_and_warm_up_calls_and_little_padding() -> None:
    lengths = PaddedLengths.up_to(8192)
    assert len(lengths.values) <= 64
    assert len(lengths.warm_before_ready) + len(lengths.warm_later) <= 40
    padded = sum(lengths.fit(tokens) / tokens for tokens in range(513, 8193)) / (8192 - 512)
    assert padded <= 1.06


@given(st.integers(8, 8192))
def test_the_lengths_up_to_1024_are_warmed_up_once_and_the_maximum_before_ready(max_tokens: int) -> None:
    lengths = PaddedLengths.up_to(max_tokens)
    warm = [*(length for length in lengths.values[:-1] if length <= 1024), max_tokens]
    assert sorted((*lengths.warm_before_ready, *lengths.warm_later)) == warm
    assert lengths.warm_before_ready[-1] == max_tokens


@given(st.integers(1, 8191), st.floats(100, 1e5) | st.just(math.inf))
def test_a_longer_sequence_costs_more_and_a_short_one_its_length(length: int, attention: float) -> None:
    lengths = PaddedLengths.up_to(8192, attention)
    assert length <= lengths.cost(length) < lengths.cost(length + 1)
    if length <= 512 or attention == math.inf:
        assert lengths.cost(length) == length


def test_the_cost_of_a_long_sequence_includes_its_attention() -> None:
    # Linear layers: 2 x 84.9 million operations a token. Attention: 4 x 12 x 768 a token and token
    # of the sequence, which take 1.4 times as long.
    assert attention_length(BERT_BASE) == pytest.approx(2 * 84_934_656 / (1.4 * 36_864))
    lengths = PaddedLengths.up_to(8192, attention_length(BERT_BASE))
    seconds = {length: length * (2 * 84_934_656 + 1.4 * 36_864 * length) for length in (512, 8192)}
    assert lengths.cost(8192) / 512 == pytest.approx(seconds[8192] / seconds[512], rel=1e-3)


@pytest.mark.parametrize(
    ("architecture", "measured"),
    [
        (contract_pb2.Architecture(layers=6, hidden_size=384, encoder_parameters=10_616_832), {2048: 1.74, 4096: 2.67}),
        (BERT_BASE, {2048: 1.31, 4096: 1.81}),
        (
            contract_pb2.Architecture(type="modernbert", layers=7, hidden_size=768, encoder_parameters=35_094_528),
            {2048: 1.13, 4096: 1.35},
        ),
    ],
    ids=["minilm", "bert-base", "modernbert"],
)
def test_the_cost_is_close_to_the_measured_time(architecture: contract_pb2.Architecture, measured: dict[int, float]) -> None:
    """CPU time of a token by the length of its sequence, relative to 512 tokens.

    Measured on one core of an AMD EPYC with tensorflow-cpu 2.21 and random weights.
    """
    lengths = PaddedLengths.up_to(8192, attention_length(architecture))
    for length, ratio in measured.items():
        assert lengths.cost(length) / length == pytest.approx(ratio, rel=0.12)


def test_without_a_description_of_the_architecture_each_token_costs_the_same() -> None:
    assert attention_length(contract_pb2.Architecture()) == math.inf
