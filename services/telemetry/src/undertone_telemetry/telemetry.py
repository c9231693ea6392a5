"""The telemetry of one process: the adapters and the tracing that its settings switch on."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

from undertone_telemetry.dispatch import CATALOGUE, TELEMETRY_ERRORS, Adapter, EventDispatcher, Signal, count_errors
from undertone_telemetry.metrics import Metric
from undertone_telemetry.settings import TelemetryError, TelemetrySettings

if TYPE_CHECKING:
    from undertone_telemetry.prometheus import MetricsServer, PrometheusAdapter
    from undertone_telemetry.tracing import Tracing

_Event = TypeVar("_Event")

log = logging.getLogger(__name__)


class Telemetry:
    """Adapters for the metrics of a catalogue, and tracing.

    Attributes:
        adapters: The adapters that are switched on.
        prometheus: The adapter with the registry; None without --metrics-port and --pushgateway.
        metrics_port: The port of the metrics endpoint after `start`; None without --metrics-port.
        tracing: None without --trace-sample.
    """

    prometheus: "PrometheusAdapter | None"
    tracing: "Tracing | None"

    def __init__(self, settings: TelemetrySettings, catalogue: Iterable[Metric], *, service: str = "undertone") -> None:
        """
        Args:
            settings: What to switch on.
            catalogue: All metrics that listeners will record.
            service: The name of this process in traces.
        """
        self._settings = settings
        self._server: MetricsServer | None = None
        self._loss_logged = False
        self.metrics_port: int | None = None
        self.prometheus = None
        self.tracing = None
        self.adapters: tuple[Adapter, ...] = ()
        if settings.metrics_port is not None or settings.pushgateway:
            from undertone_telemetry.prometheus import PrometheusAdapter

            self.prometheus = PrometheusAdapter((*catalogue, *CATALOGUE))
            self.adapters += (self.prometheus,)
        if settings.dogstatsd:
            from undertone_telemetry.dogstatsd import DogStatsDAdapter

            self.adapters += (DogStatsDAdapter(settings.dogstatsd, self._count_lost_packets),)
        if settings.traced:
            from undertone_telemetry.tracing import Tracing

            self.tracing = Tracing.to_collector(
                settings.otlp_endpoint, sample=settings.trace_sample, service=service, on_loss=self._count_lost_spans
            )

    def start(self) -> None:
        """Opens the port for metrics, with --metrics-port. Raises TelemetryError."""
        if self.prometheus is None or self._settings.metrics_port is None:
            return
        from undertone_telemetry.prometheus import MetricsServer

        try:
            self._server = MetricsServer(self.prometheus, self._settings.metrics_host, self._settings.metrics_port)
        except OSError as error:
            raise TelemetryError(
                f"--metrics-port {self._settings.metrics_port} cannot be opened on {self._settings.metrics_host} "
                f"({error.strerror}); choose another, or 0 for a free one"
            ) from None
        self.metrics_port = self._server.port

    def listener(
        self,
        measure: Callable[[_Event], Iterable[Signal]],
        subscribers: Mapping[str, Callable[[_Event], None]] | None = None,
    ) -> EventDispatcher[_Event]:
        """A listener that passes events to all adapters; see `EventDispatcher`.

        Args:
            measure: Converts an event into signals. Their metrics must be in the catalogue.
            subscribers: Receive the events themselves.
        """
        return EventDispatcher(measure, self.adapters, subscribers or {})

    def close(self) -> None:
        """Sends what is still buffered and closes the port.

        Takes seconds if a backend is unreachable.
        """
        if self.tracing:
            self.tracing.close()
        for adapter in self.adapters:
            adapter.close()
        if self._server:
            self._server.close()

    def _count_lost_packets(self, packets: int) -> None:
        if not self._loss_logged:
            self._loss_logged = True
            log.warning(
                "telemetry: packets to DogStatsD at %s were lost; further losses are only counted, in %s",
                self._settings.dogstatsd,
                TELEMETRY_ERRORS.name,
            )
        count_errors(self.adapters, "dogstatsd", packets)

    def _count_lost_spans(self, spans: int) -> None:
        count_errors(self.adapters, "otlp", spans)
