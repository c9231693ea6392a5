"""An adapter for tests: it remembers."""

from undertone_telemetry.metric import Measurement
from undertone_telemetry.notice import Notice


class Recorder:
    """Keeps what it was told, in order."""

    name = "recorder"

    def __init__(self) -> None:
        self.measurements: list[Measurement] = []
        self.notices: list[Notice] = []
        self.closed = False

    def record(self, measurement: Measurement) -> None:
        self.measurements.append(measurement)

    def tell(self, notice: Notice) -> None:
        self.notices.append(notice)

    def close(self) -> None:
        self.closed = True

    def values(self, name: str) -> list[float]:
        """Of all measurements of a metric."""
        return [measurement.value for measurement in self.measurements if measurement.metric.name == name]
