"""Which service scores, and how it is asked; a value that travels to the executors inside functions."""

from dataclasses import dataclass, field

from undertone_client import Policy, RetryPolicy, Settings
from undertone_client.settings import checked_target

PATIENT = 9
"""Attempts of a call in a job: with its waits, enough for a service that restarts."""


def patient_settings() -> Settings:
    """Settings for a job: calls are tried often, and paragraphs of like length are sought among many."""
    return Settings(retry=RetryPolicy(attempts=PATIENT), lookahead_items=4096)


@dataclass(frozen=True, slots=True)
class Service:
    """An Undertone service as the executors see it.

    Equal services share one client in each Python worker process. Files named by `settings.tls` must exist on every executor.

    Args:
        target: gRPC target that the executors can reach, such as `dns:///undertone.example:443`.
        settings: see `undertone_client.Settings`.
        policy: what the service does with paragraphs that are longer than the model can read at once.

    Raises:
        SettingsError: the target is no address.
    """

    target: str
    settings: Settings = field(default_factory=patient_settings)
    policy: Policy = Policy.CHUNK_MEAN

    def __post_init__(self) -> None:
        checked_target(self.target)
