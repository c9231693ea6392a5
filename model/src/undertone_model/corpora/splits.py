"""Splits of corpora that have none: a hash of a key decides, so that a row never moves.

The rows of REMAN are split by author and not by book, because some books are in the corpus in two
editions. The rows of XED are split by text, because some lines occur several times.
"""

import hashlib
import re
from typing import Final

from undertone_model.data import Split

AUTHORS_TEST: Final = (0, 1, 2)
AUTHORS_DEV: Final = (4, 6)
"""Remainders of the hash of an author by ten: about a fifth of REMAN is test, a twelfth dev."""

LINES_TEST: Final = (0,)
LINES_DEV: Final = (1,)
"""Remainders of the hash of a line by twenty."""

_WORD: Final = re.compile(r"\w+")


def split_of_author(author: str) -> Split:
    """The split of all rows of REMAN by `author`."""
    return _split(_remainder(author, 10), AUTHORS_TEST, AUTHORS_DEV)


def split_of_line(text: str) -> Split:
    """The split of a line of XED."""
    return _split(_remainder(text, 20), LINES_TEST, LINES_DEV)


def words(text: str) -> str:
    """The words of a text, by which texts are the same for the model but for the punctuation."""
    return " ".join(_WORD.findall(text.casefold()))


def _split(remainder: int, test: tuple[int, ...], dev: tuple[int, ...]) -> Split:
    return "test" if remainder in test else "dev" if remainder in dev else "train"


def _remainder(key: str, divisor: int) -> int:
    return int(hashlib.sha256(key.strip().encode()).hexdigest(), 16) % divisor
