"""Estimates the tokens of a text from its length, before it is tokenized."""

from typing import Final

_RISE: Final = 0.001
"""Share of the difference by which the estimate follows calls with more tokens."""

_CAUTION: Final = 0.7
"""Factor of the estimate. A text has rarely fewer tokens than this share of its call's average."""


class TokenEstimate:
    """The fewest tokens for each character in the texts of recent calls.

    A letter of English has about 0.25 tokens, and a character of Chinese about one. The languages
    and the tokenizer are unknown here, and texts in a language with few tokens must not be refused
    for the sake of the other texts. So the estimate falls at once, and rises slowly.
    """

    def __init__(self) -> None:
        self._tokens_per_character: float | None = None

    def observe(self, characters: int, tokens: int) -> None:
        """Adds the texts of a call. Texts without tokens are refused, so they do not count."""
        if not tokens:
            return
        found = tokens / characters
        if self._tokens_per_character is None or found < self._tokens_per_character:
            self._tokens_per_character = found
        else:
            self._tokens_per_character += _RISE * (found - self._tokens_per_character)

    def least_tokens(self, characters: int) -> int:
        """A number that a text of this length rarely undercuts. 0 before the first text."""
        return int(_CAUTION * characters * (self._tokens_per_character or 0.0))
