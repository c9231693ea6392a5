from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_sidecar.batching.backlogs import Backlogs

changes = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 5000)), max_size=60)


@given(changes, st.integers(1, 10_000))
@settings(max_examples=60, deadline=None)
def test_backlogs_are_ordered_by_size_and_a_capped_sum_is_at_most_twice_too_large(
    changes: list[tuple[str, int]], cap: int
) -> None:
    backlogs, expected = Backlogs(), Counter[str]()
    for number, (caller, tokens) in enumerate(changes):
        # Every third change empties a backlog partly.
        tokens = -min(tokens, expected[caller]) if number % 3 == 2 else tokens
        backlogs.change(caller, tokens)
        expected[caller] += tokens
    expected += Counter()  # Removes callers without tokens.
    assert len(backlogs) == len(expected)
    assert list(backlogs.descending()) == sorted(((tokens, caller) for caller, tokens in expected.items()), reverse=True)
    assert all(backlogs[caller] == expected[caller] for caller in "abcdefghi")
    exact = sum(min(tokens, cap) for tokens in expected.values())
    assert exact <= backlogs.capped_sum(cap) <= 2 * exact
