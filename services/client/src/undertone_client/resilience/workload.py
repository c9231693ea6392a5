"""Latency in terms of a typical call, so that a long paragraph is not taken for congestion."""

MEMORY = 0.005
"""Weight of the newest sample: about two hundred are remembered."""
LEAST_SHARE = 0.05
"""No call is taken to be more than twenty times quicker than a typical one, whatever its work."""


class Workload:
    """Learns how much of a call's latency comes with its work, and takes that out.

    Latency is taken to be a + b * work: a line through the last samples (least squares, the older the lighter). Only its shape
    is used, b * mean work / mean latency, the share of a typical call's latency that comes with its work. A queue lengthens
    long and short calls alike, so congestion stays visible. Work is whatever grows with what the service has to do: here the
    bytes of the request.
    """

    def __init__(self) -> None:
        self._weight = 0.0
        self._work = self._seconds = 0.0  # means
        self._spread = self._together = 0.0  # variance of the work, covariance of the two

    @property
    def share(self) -> float:
        """How much of a typical call's latency comes with its work, from 0 to 1."""
        if self._spread <= 1e-6 * self._work**2 or self._seconds == 0:
            return 1.0  # all calls alike: nothing to learn from, nothing to take out
        return min(1.0, max(0.0, self._together / self._spread * self._work / self._seconds))

    def typical(self, seconds: float, work: float) -> float:
        """What a call of typical work would have taken, where one of `work` took `seconds`; learns from it."""
        self._learn(seconds, work)
        return seconds / max(LEAST_SHARE, 1 + self.share * (work / self._work - 1))

    def _learn(self, seconds: float, work: float) -> None:
        self._weight += MEMORY * (1 - self._weight)
        step = MEMORY / self._weight  # a plain mean at first, so that the first sample does not stay for long
        off_work, off_seconds = work - self._work, seconds - self._seconds
        self._work += step * off_work
        self._seconds += step * off_seconds
        self._spread = (1 - step) * (self._spread + step * off_work**2)
        self._together = (1 - step) * (self._together + step * off_work * off_seconds)
