"""Normalized latencies. test_stack.py has the tests of slots."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_client.resilience.slots import LatencyNormalizer


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 5), st.floats(0.0001, 0.01), st.integers(0, 99))
def test_latency_that_the_size_explains_is_removed(base: float, per_byte: float, seed: int) -> None:
    normalizer = LatencyNormalizer()
    generator = random.Random(seed)
    sizes = [generator.randint(1000, 10_000) for _ in range(800)]
    learned = [normalizer.normalize(base + per_byte * size, size) for size in sizes][400:]
    assert max(learned) <= 1.3 * min(learned)
    congested = normalizer.normalize(2 * (base + per_byte * 5000), 5000)
    assert congested > 1.5 * max(learned)


def test_latencies_of_equal_sizes_are_unchanged() -> None:
    normalizer = LatencyNormalizer()
    assert [normalizer.normalize(seconds, 500) for seconds in (1.0, 2.0, 0.5)] == [1.0, 2.0, 0.5]
