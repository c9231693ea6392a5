"""The retry budget: retries are a share of what succeeds, so that they cannot become the load that keeps a service down."""

from dataclasses import dataclass

from undertone_client.errors import SettingsError


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """gRFC A6, "throttling retry attempts": `tokens` at the beginning and at most, `ratio` of one for each success.

    Half of the tokens may be used in a row; in the long run there are `ratio` retries for each success.
    """

    tokens: float = 100.0
    ratio: float = 0.1

    def __post_init__(self) -> None:
        if not self.tokens > 0:
            raise SettingsError(f"tokens is {self.tokens}; it must be more than 0")
        if not self.ratio > 0:
            raise SettingsError(f"ratio is {self.ratio}; it must be more than 0, or a spent budget would stay so for ever")


class RetryBudget:
    """The token bucket of gRFC A6, shared by all calls of a client. Every attempt that failed for now takes a token."""

    def __init__(self, settings: BudgetSettings) -> None:
        self._most = settings.tokens
        self._ratio = settings.ratio
        self._tokens = settings.tokens

    @property
    def tokens(self) -> float:
        """What is left, from 0 to the most."""
        return self._tokens

    @property
    def allows(self) -> bool:
        """Whether there is enough for a retry, or for a hedge."""
        return self._tokens > self._most / 2

    def failed(self) -> None:
        """An attempt failed in a way that is retried."""
        self._tokens = max(0.0, self._tokens - 1)

    def succeeded(self) -> None:
        """An attempt was answered."""
        self._tokens = min(self._most, self._tokens + self._ratio)
