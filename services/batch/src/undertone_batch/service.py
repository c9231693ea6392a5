"""Which service scores, and how it is asked; a value that travels to the executors inside functions."""

from dataclasses import dataclass, field

from undertone_client import Mode, Policy, Settings
from undertone_client.settings import validate_target
from undertone_telemetry.settings import TelemetrySettings


@dataclass(frozen=True, slots=True)
class Service:
    """An Undertone service as the executors see it.

    Equal services share one client in each Python worker process. Files named by `settings.tls` must exist on every executor.

    Args:
        target: gRPC target that the executors can reach, such as `dns:///undertone.example:443`.
        settings: of the clients; with the default, they wait for a service that is down as long as the breaker has patience.
        policy: what the service does with paragraphs that are longer than the model can read at once.
        telemetry: who sees the clients. Workers come and go, so this is who is sent something: DataDog, a collector of traces.

    Raises:
        SettingsError: the target is no address.
    """

    target: str
    settings: Settings = field(default_factory=lambda: Settings(mode=Mode.BATCH))
    policy: Policy = Policy.CHUNK_MEAN
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)

    def __post_init__(self) -> None:
        validate_target(self.target)
