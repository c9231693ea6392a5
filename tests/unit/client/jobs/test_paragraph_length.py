import sys

import pytest
from undertone_client.jobs.paragraph_length import INVISIBLE, WHITE_SPACE, is_short


def test_white_space_is_that_of_python() -> None:
    assert set(WHITE_SPACE) == {character for character in map(chr, range(sys.maxunicode + 1)) if character.isspace()}
    assert not any(character.isspace() for character in INVISIBLE)


@pytest.mark.parametrize("blank", ["", " ", "\xa0" * 20, "\u3000" * 20, "\u200b" * 20, "\ufeff \u2060\n" * 5])
def test_a_paragraph_without_visible_characters_is_short(blank: str) -> None:
    assert is_short(blank, 15)
    assert is_short(blank, 0)


def test_only_the_characters_inside_the_white_space_count() -> None:
    assert not is_short("\xa0a b c\u3000", 5)
    assert is_short("\xa0a b c\u3000", 6)
    assert not is_short("a", 0)
