from hypothesis import given
from hypothesis import strategies as st
from undertone_sidecar.token_estimate import TokenEstimate

ENGLISH, CHINESE = (400, 100), (400, 400)
"""Characters and tokens of a call."""


def test_texts_with_fewer_tokens_lower_the_estimate_at_once() -> None:
    estimate = TokenEstimate()
    assert estimate.least_tokens(400) == 0
    for _ in range(100):
        estimate.observe(*CHINESE)
    estimate.observe(400, 0)
    assert estimate.least_tokens(400) == 280
    estimate.observe(*ENGLISH)
    assert estimate.least_tokens(400) == 70


@given(st.lists(st.sampled_from([ENGLISH, CHINESE]), min_size=1, max_size=200))
def test_no_mix_of_two_languages_raises_the_estimate_above_the_one_with_fewer_tokens(calls: list[tuple[int, int]]) -> None:
    estimate = TokenEstimate()
    for characters, tokens in [ENGLISH, *calls]:
        assert estimate.least_tokens(characters) <= tokens
        estimate.observe(characters, tokens)


def test_the_estimate_follows_a_change_of_all_texts() -> None:
    estimate = TokenEstimate()
    for characters, tokens in [ENGLISH, *[CHINESE] * 3000]:
        estimate.observe(characters, tokens)
    assert 260 < estimate.least_tokens(400) <= 280
