"""Estimates the tokens of a text from its length, before it is tokenized."""

from typing import Final

_DECAY: Final = 0.99
"""Weight of a call relative to the next one. The last hundred calls dominate."""

_CAUTION: Final = 0.7
"""Factor of the estimate. A text has rarely fewer tokens than this share of the usual number."""


class TokenEstimate:
    """Tokens for each character of recent texts."""

    def __init__(self) -> None:
        self._characters = self._tokens = 0.0

    def observe(self, characters: int, tokens: int) -> None:
        """Adds the texts of a call."""
        self._characters = _DECAY * self._characters + characters
        self._tokens = _DECAY * self._tokens + tokens

    def least_tokens(self, characters: int) -> int:
        """A number that a text of this length rarely undercuts. 0 before the first text."""
        return int(_CAUTION * characters * self._tokens / self._characters) if self._characters else 0
