import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_batch.deletions import ALWAYS_ALLOWED, Deletions
from undertone_batch.errors import TooManyDeletedError
from undertone_client.jobs import InputError


def test_the_message_names_the_counts_and_the_remedies() -> None:
    with pytest.raises(InputError) as error:
        Deletions(deleted=47, rows=50, present=3).check(0.1)
    message = str(error.value)
    assert "lacks 47 of the 50 paragraphs of the table (94.00%)" in message
    assert "--max-deleted-share allows to mark 10.00% as deleted. Nothing was scored" in message
    assert "an open quote in a CSV file" in message
    assert "add --max-deleted-share 0.94" in message
    assert "--deletions ignore" in message


@pytest.mark.parametrize(
    ("deletions", "refused"),
    [
        (Deletions(0, 0, 0), False),
        (Deletions(0, 100, 100), False),
        (Deletions(10, 100, 90), False),
        (Deletions(11, 100, 89), True),
        (Deletions(2, 3, 1), False),
        (Deletions(10, 10, 10), False),
        (Deletions(11, 11, 11), True),
        (Deletions(1, 1, 0), True),
        (Deletions(3, 3, 0), True),
    ],
)
def test_deletions_of_a_large_share_or_by_an_empty_source_are_refused(deletions: Deletions, refused: bool) -> None:
    try:
        deletions.check(0.1)
    except TooManyDeletedError:
        assert refused
    else:
        assert not refused


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 5), st.floats(0, 1))
def test_the_suggested_share_is_accepted(deleted: int, more: int, present: int, max_share: float) -> None:
    deletions = Deletions(deleted, deleted + more, present)
    try:
        deletions.check(max_share)
    except TooManyDeletedError as error:
        assert deleted > ALWAYS_ALLOWED or not present
        suggestion = str(error).partition("add --max-deleted-share ")[2].split()[0].rstrip(".")
        deletions.check(float(suggestion))
    deletions.check(1)
