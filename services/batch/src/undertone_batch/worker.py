"""What a Python worker process of Spark keeps from task to task: an event loop in a thread, and the client that lives on it."""

import asyncio
import functools
import threading

from undertone_client import CallCounts, Client
from undertone_client.telemetry import CATALOGUE, client_hooks
from undertone_telemetry.telemetry import Telemetry

from undertone_batch.bridge import Bridge
from undertone_batch.service import Service


class Worker:
    """The client of one service, kept open until the process ends, so that its limit and breaker keep what they learned.

    Spark reuses a Python worker process for task after task (`spark.python.worker.reuse`) and runs one task in it at a time.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="undertone", daemon=True).start()
        telemetry = Telemetry(service.telemetry, CATALOGUE, service="undertone-batch")
        self._client = Client(service.target, settings=service.settings, **client_hooks(telemetry, service.target))
        asyncio.run_coroutine_threadsafe(self._client.__aenter__(), self._loop).result()

    def bridge(self) -> Bridge:
        """A stream of paragraphs through the client, for one task."""
        return Bridge(self._loop, functools.partial(self._client.score, policy=self.service.policy))

    def calls(self) -> CallCounts:
        """What the client has done so far."""

        async def counts() -> CallCounts:
            return self._client.state().counts

        return asyncio.run_coroutine_threadsafe(counts(), self._loop).result()


@functools.cache
def worker_for(service: Service) -> Worker:
    """This process's worker for `service`; the first call connects."""
    return Worker(service)
