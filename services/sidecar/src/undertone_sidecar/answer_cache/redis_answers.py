"""Stored answers in Redis, which the sidecars of a fleet share."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar, cast

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from undertone_sidecar.answer_cache.circuit import Circuit
from undertone_sidecar.answer_cache.redis_client import LONGEST_COMMAND_SECONDS, error_text, redis_client
from undertone_sidecar.answer_cache.settings import CacheSettings
from undertone_sidecar.answer_cache.stopwatch import Stopwatch
from undertone_sidecar.events import Listener, RedisAnswered, RedisFailed, ignore

_Result = TypeVar("_Result")
_Request = tuple[Sequence[bytes], "asyncio.Future[Sequence[bytes | None] | None]"]

PREFIX: Final = b"undertone:"
"""Beginning of all keys in Redis."""

_READ_KEYS: Final = 256
"""Keys of a command, unless a single call has more."""

_WRITE_KEYS: Final = 16
"""Values of a write. The client needs 20 µs of the event loop for each."""

_WAITING_WRITES: Final = 4096
"""Values that wait to be written. Further ones are not written."""

_STALL_SECONDS: Final = 0.001
"""Time for which the event loop was busy, from which a late answer is not the fault of Redis."""

log = logging.getLogger(__name__)


class RedisAnswers:
    """Reads and writes stored answers. No call waits for Redis longer than a few milliseconds.

    A call waits for a read at most `cache_redis_timeout_seconds`. The late read itself goes on, so
    that the connection stays usable, and further calls do not read until it ends. Reads that arrive
    during a command share the next one. After failures, no call reads until Redis answers a PING in
    time. A task in the background opens connections and writes.
    """

    def __init__(
        self,
        settings: CacheSettings,
        *,
        client: Callable[[CacheSettings], Redis] = redis_client,
        clock: Callable[[], float] = time.monotonic,
        listener: Listener = ignore,
    ) -> None:
        """Creates a client without a connection.

        Args:
            settings: Address and credentials of Redis, and times.
            client: Makes a client with one connection, for reads and for writes.
            clock: Time in seconds.
            listener: Receives RedisAnswered and RedisFailed.
        """
        self._timeout = settings.cache_redis_timeout_seconds
        self._expire_milliseconds = int(settings.cache_redis_ttl_seconds * 1000)
        self._clock = clock
        self._listener = listener
        self._reader = client(settings)
        self._writer = client(settings)
        self._circuit = Circuit()
        self._opened = asyncio.Event()
        self._opened.set()
        self._requests: list[_Request] = []
        self._reading: asyncio.Task[None] | None = None
        self._is_late = False
        self._writes: dict[bytes, bytes] = {}
        self._has_writes = asyncio.Event()
        self._problem = ""
        self._is_problem_logged = False
        self._is_refusal_logged = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_used(self) -> bool:
        """Whether calls read from Redis at the moment."""
        return not self._circuit.is_open

    def start(self) -> None:
        """Connects, and writes from now on."""
        self._tasks = [
            asyncio.create_task(self._keep_connected(), name="redis-connection"),
            asyncio.create_task(self._write_all(), name="redis-writes"),
        ]

    async def close(self) -> None:
        """Ends the connections. Values that wait to be written are lost."""
        tasks = [*self._tasks, *([self._reading] if self._reading else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in (self._reader, self._writer):
            with suppress(RedisError, OSError):
                await client.aclose()

    async def read(self, keys: Sequence[bytes]) -> Sequence[bytes | None] | None:
        """The value of each key. None if they could not be read in time."""
        if self._circuit.is_open or self._is_late:
            self._listener(RedisFailed("read", "paused"))
            return None
        future: asyncio.Future[Sequence[bytes | None] | None] = asyncio.get_running_loop().create_future()
        self._requests.append((keys, future))
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_all(), name="redis-reads")
        with Stopwatch() as waiting:
            await asyncio.wait([future], timeout=self._timeout)
        if waiting.stalled > _STALL_SECONDS and not future.done():
            # The answer may have arrived while the event loop was busy.
            await asyncio.wait([future], timeout=_STALL_SECONDS)
        if future.done():
            return future.result()
        future.cancel()
        self._is_late = True  # until the command ends
        self._listener(RedisFailed("read", "timeout"))
        return None

    def write(self, key: bytes, value: bytes) -> None:
        """Stores a value soon. It is lost if Redis does not take it, or if too many values wait."""
        if len(self._writes) >= _WAITING_WRITES:
            self._listener(RedisFailed("write", "full"))
            return
        self._writes[key] = value
        self._has_writes.set()

    async def _read_all(self) -> None:
        """Reads for all requests, also for those that arrive meanwhile."""
        requests: list[_Request] = []
        try:
            while self._requests and not self._circuit.is_open:
                requests = self._next_requests()
                if not requests:
                    return
                keys = [PREFIX + key for keys, _ in requests for key in keys]
                read = cast("Awaitable[list[bytes | None]]", self._reader.mget(keys))
                with Stopwatch() as reading:
                    values = await self._command("read", read, partial(_are_values, count=len(keys)))
                self._is_late = False
                if values is None:
                    self._circuit.failed()
                    self._check_circuit()
                    _answer(requests, None)
                    return
                in_time = reading.seconds - reading.stalled <= self._timeout
                self._circuit.answered(in_time=in_time)
                if not in_time:
                    self._problem = f"reads took longer than {self._timeout:g} s"
                    self._check_circuit()
                _answer(requests, values)
        finally:
            self._reading, self._is_late = None, False
            requests, self._requests = [*requests, *self._requests], []
            _answer(requests, None)

    def _next_requests(self) -> list[_Request]:
        """The requests of the next command. Those whose calls wait no longer are left out."""
        self._requests = [request for request in self._requests if not request[1].done()]
        taken, keys = 0, 0
        while taken < len(self._requests) and (not taken or keys + len(self._requests[taken][0]) <= _READ_KEYS):
            keys += len(self._requests[taken][0])
            taken += 1
        requests, self._requests = self._requests[:taken], self._requests[taken:]
        return requests

    async def _command(
        self, operation: str, command: Awaitable[_Result], is_valid: Callable[[_Result], bool]
    ) -> _Result | None:
        """The result of a command. None if it failed, or if its reply is invalid."""
        started = self._clock()
        try:
            result = await command
            if not is_valid(result):
                raise InvalidResponse(f"the reply to a {operation} is not a reply of Redis: check the address in --cache-redis")
        except Exception as error:  # The client also raises for an invalid reply.
            self._problem = error_text(error)
            self._listener(RedisFailed(operation, _reason(error)))
            return None
        self._listener(RedisAnswered(operation, self._clock() - started))
        return result

    def _check_circuit(self) -> None:
        """Tries Redis if the circuit has been opened."""
        if self._circuit.is_open:
            self._log_problem()
            self._opened.set()

    def _log_problem(self) -> None:
        if not self._is_problem_logged:
            self._is_problem_logged = True
            log.warning("the answer cache does not use Redis until it answers in time (%s)", self._problem)

    async def _keep_connected(self) -> None:
        """Tries Redis after a pause whenever the circuit is open."""
        while True:
            await self._opened.wait()
            await asyncio.sleep(self._circuit.pause)
            self._circuit.tried(in_time=await self._answers_in_time())
            if self._circuit.is_open:
                self._log_problem()
            else:
                self._opened.clear()
                self._is_problem_logged = False
                log.info("the answer cache uses Redis")

    async def _answers_in_time(self) -> bool:
        """Whether Redis answers a PING in time, on a connection that is open."""
        try:
            async with asyncio.timeout(2 * LONGEST_COMMAND_SECONDS):
                await self._reader.ping()  # connects
                with Stopwatch() as answering:
                    await self._reader.ping()
        except Exception as error:
            self._problem = error_text(error)
            self._listener(RedisFailed("connect", _reason(error)))
            return False
        self._problem = f"a PING took longer than {self._timeout:g} s"
        return answering.seconds - answering.stalled <= self._timeout

    async def _write_all(self) -> None:
        """Writes values when there are any. After a failure, waits longer each time."""
        circuit = Circuit()
        circuit.tried(in_time=True)
        while True:
            await self._has_writes.wait()
            keys = list(self._writes)[:_WRITE_KEYS]
            values = [(key, self._writes.pop(key)) for key in keys]
            if not self._writes:
                self._has_writes.clear()
            if await self._write(values):
                circuit.tried(in_time=True)
                circuit.answered(in_time=True)
            else:
                circuit.tried(in_time=False)
                await asyncio.sleep(circuit.pause)

    async def _write(self, values: Sequence[tuple[bytes, bytes]]) -> bool:
        pipeline = self._writer.pipeline(transaction=False)
        for key, value in values:
            pipeline.execute_command("SET", PREFIX + key, value, "PX", self._expire_milliseconds)
        results: list[Any] | None = await self._command("write", pipeline.execute(raise_on_error=False), _is_list)
        if results is None:
            return False
        refused = [result for result in results if isinstance(result, Exception)]
        if refused:
            # For example, its memory is full and it evicts nothing.
            self._listener(RedisFailed("write", "refused"))
            self._log_refused(refused[0])
        self._is_refusal_logged &= bool(refused)
        return not refused

    def _log_refused(self, error: Exception) -> None:
        if not self._is_refusal_logged:
            self._is_refusal_logged = True
            log.warning("Redis refuses answers (%s): no new answers are shared", error_text(error))


def _is_list(reply: object) -> bool:
    return isinstance(reply, list)


def _are_values(reply: object, count: int) -> bool:
    """Whether a reply has the values of `count` keys."""
    return isinstance(reply, list) and len(reply) == count and all(isinstance(each, bytes | None) for each in reply)


def _reason(error: Exception) -> str:
    """The reason of RedisFailed."""
    if isinstance(error, RedisTimeoutError | TimeoutError):
        return "timeout"
    return "connection" if isinstance(error, RedisConnectionError | OSError) else "refused"


def _answer(requests: Sequence[_Request], values: Sequence[bytes | None] | None) -> None:
    """Answers requests in order with the values of their keys."""
    start = 0
    for keys, future in requests:
        if not future.done():
            future.set_result(None if values is None else values[start : start + len(keys)])
        start += len(keys)
