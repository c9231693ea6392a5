"""Reads and writes of a Redis that is slow, stuck or failing, on a virtual clock."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from undertone_planner.fleet.clock import VirtualLoop, run
from undertone_sidecar.answer_cache.circuit import Circuit
from undertone_sidecar.answer_cache.redis_answers import PREFIX, RedisAnswers
from undertone_sidecar.answer_cache.settings import CacheSettings
from undertone_sidecar.events import Event, RedisFailed

SETTINGS = CacheSettings(cache_redis="redis://cache", cache_redis_timeout_seconds=0.005)


class FakePipeline:
    def __init__(self, client: "FakeRedis") -> None:
        self._client = client
        self._commands: list[tuple[Any, ...]] = []

    def execute_command(self, *command: Any) -> None:
        self._commands.append(command)

    async def execute(self, *, raise_on_error: bool) -> list[object]:
        await self._client.command()
        if self._client.is_full:
            return [ResponseError("OOM") for _ in self._commands]
        self._client.values.update({command[1]: command[2] for command in self._commands})
        return [True for _ in self._commands]


class FakeRedis:
    """Each command takes the next of `seconds`, or fails if that is None. The last one stays.

    `reply` replaces the values of all reads. They fail if it is an error.
    """

    def __init__(self, *seconds: float | None) -> None:
        self.seconds = list(seconds)
        self.reply: Any = None
        self.values: dict[bytes, bytes] = {}
        self.reads: list[int] = []
        self.pings = 0
        self.is_full = False

    async def command(self) -> None:
        seconds = self.seconds[0]
        if len(self.seconds) > 1:
            self.seconds.pop(0)
        if seconds is None:
            raise RedisConnectionError("Connection refused")
        await asyncio.sleep(seconds)

    async def mget(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self.reads.append(len(keys))
        await self.command()
        if isinstance(self.reply, Exception):
            raise self.reply
        if self.reply is not None:
            return cast("list[bytes | None]", self.reply)
        return [self.values.get(key) for key in keys]

    async def ping(self) -> None:
        self.pings += 1
        await self.command()

    def pipeline(self, *, transaction: bool) -> FakePipeline:
        return FakePipeline(self)

    async def aclose(self) -> None:
        pass


def answers_of(redis: FakeRedis, events: list[Event]) -> RedisAnswers:
    time = asyncio.get_running_loop().time
    return RedisAnswers(SETTINGS, client=lambda _: cast("Redis", redis), clock=time, listener=events.append)


def key(number: int) -> bytes:
    return f"{number}".encode()


@given(
    st.lists(st.one_of(st.sampled_from([0.0, 0.001, 0.02, 0.5]), st.none()), min_size=1, max_size=12),
    st.lists(st.tuples(st.sampled_from([0.0, 0.001, 0.01, 1.0]), st.integers(1, 300)), min_size=1, max_size=25),
)
@settings(max_examples=100)
def test_a_read_ends_in_time_with_the_right_values_or_none(seconds: list[float | None], reads: list[tuple[float, int]]) -> None:
    async def main() -> None:
        redis = FakeRedis(*seconds)
        redis.values = {PREFIX + key(number): key(number) for number in range(0, 300, 2)}
        answers = answers_of(redis, [])
        answers.start()
        loop = asyncio.get_running_loop()

        async def read(count: int) -> None:
            started = loop.time()
            values = await answers.read([key(number) for number in range(count)])
            assert loop.time() - started <= 0.0051
            if values is not None:
                assert values == [key(number) if number % 2 == 0 else None for number in range(count)]

        tasks = []
        for pause, count in reads:
            await asyncio.sleep(pause)
            tasks.append(asyncio.create_task(read(count)))
        await asyncio.gather(*tasks)
        await answers.close()

    run(main())


def test_reads_that_arrive_during_a_command_share_the_next_one() -> None:
    async def main() -> None:
        redis = FakeRedis(0.001)
        answers = answers_of(redis, [])
        answers.start()
        await asyncio.sleep(1)
        await asyncio.gather(*(answers.read([key(0), key(1)]) for _ in range(10)))
        assert redis.reads == [20]
        first = asyncio.create_task(answers.read([key(0)]))
        await asyncio.sleep(0.0005)
        await asyncio.gather(first, *(answers.read([key(number)] * 100) for number in range(3)))
        assert redis.reads == [20, 1, 200, 100]
        await answers.close()

    run(main())


def test_a_stuck_redis_delays_one_call_and_is_used_again_when_it_answers() -> None:
    async def main() -> None:
        redis, events = FakeRedis(0.0), list[Event]()
        answers = answers_of(redis, events)
        answers.start()
        await asyncio.sleep(1)
        redis.seconds = [0.9, 0.0]
        loop = asyncio.get_running_loop()
        started = loop.time()
        for _ in range(100):
            assert await answers.read([key(0)]) is None
        assert loop.time() - started == pytest.approx(0.005)
        assert events.count(RedisFailed("read", "timeout")) == 1
        assert events.count(RedisFailed("read", "paused")) == 99
        await asyncio.sleep(1)
        assert await answers.read([key(0)]) == [None]
        await answers.close()

    run(main())


def test_a_slow_redis_is_not_read_after_three_late_answers() -> None:
    async def main() -> None:
        redis = FakeRedis(0.0)
        answers = answers_of(redis, [])
        answers.start()
        await asyncio.sleep(1)
        redis.seconds = [0.02]
        for _ in range(100):
            await answers.read([key(0)])
            await asyncio.sleep(0.1)
        assert len(redis.reads) == 3
        assert redis.pings < 20
        await answers.close()

    run(main())


def test_a_redis_that_refuses_all_reads_is_tried_rarely() -> None:
    """For example, its user may not use MGET, or it is a cluster. It answers each PING."""

    async def main() -> None:
        redis = FakeRedis(0.0)
        redis.reply = ResponseError("NOPERM this user has no permissions to run the 'mget' command")
        answers = answers_of(redis, [])
        answers.start()
        for _ in range(1000):
            await asyncio.sleep(0.1)
            assert await answers.read([key(0)]) is None
        assert len(redis.reads) < 15
        redis.reply = None
        await asyncio.sleep(31)
        assert await answers.read([key(0)]) == [None]
        await answers.close()

    run(main())


@pytest.mark.parametrize("reply", [7, b"value", [], [b"value"], [b"value", 7], [b"value", ResponseError("ERR")]])
def test_a_reply_that_is_no_list_of_the_values_is_a_failed_read(reply: object) -> None:
    async def main() -> None:
        redis, events = FakeRedis(0.0), list[Event]()
        answers = answers_of(redis, events)
        answers.start()
        await asyncio.sleep(1)
        redis.reply = reply
        assert await answers.read([key(0), key(1)]) is None
        assert RedisFailed("read", "refused") in events
        redis.reply = None
        await asyncio.sleep(1)
        assert await answers.read([key(0), key(1)]) == [None, None]
        await answers.close()

    run(main())


def test_an_error_that_repeats_the_password_is_logged_without_it(caplog: pytest.LogCaptureFixture) -> None:
    """As Redis does if the command AUTH was renamed."""

    async def main() -> None:
        redis = FakeRedis(0.0)
        redis.reply = ResponseError("unknown command 'AUTH', with args beginning with: 'secret-word' ")
        answers = answers_of(redis, [])
        answers.start()
        await asyncio.sleep(1)
        await answers.read([key(0)])
        await asyncio.sleep(1)
        await answers.close()

    run(main())
    assert "unknown command 'AUTH'" in caplog.text
    assert "secret-word" not in caplog.text


def test_answers_that_arrive_while_the_event_loop_is_busy_are_used() -> None:
    async def main() -> None:
        redis = FakeRedis(0.001)
        redis.values = {PREFIX + key(0): b"value"}
        answers = answers_of(redis, [])
        answers.start()
        await asyncio.sleep(1)
        loop = cast("VirtualLoop", asyncio.get_running_loop())
        for _ in range(10):
            loop.call_later(0.0005, loop.advance, 0.05)
            assert await answers.read([key(0)]) == [b"value"]
        assert answers.is_used
        await answers.close()

    run(main())


def test_writes_never_wait_and_are_dropped_when_too_many_wait() -> None:
    async def main() -> None:
        redis, events = FakeRedis(None), list[Event]()
        answers = answers_of(redis, events)
        answers.start()
        for number in range(5000):
            answers.write(key(number), b"value")
        assert events.count(RedisFailed("write", "full")) == 5000 - 4096
        redis.seconds = [0.0]
        await asyncio.sleep(60)
        assert redis.values
        redis.is_full = True
        answers.write(b"last", b"value")
        await asyncio.sleep(1)
        assert PREFIX + b"last" not in redis.values
        assert RedisFailed("write", "refused") in events
        await answers.close()

    run(main())


@given(st.lists(st.sampled_from(["failed", "late", "in time"]), max_size=60))
def test_a_circuit_is_open_after_a_failure_until_a_trial_in_time_and_its_pause_is_bounded(events: list[str]) -> None:
    circuit = Circuit()
    for event in events:
        if circuit.is_open:
            before = circuit.pause
            circuit.tried(in_time=event == "in time")
            assert circuit.is_open == (event != "in time")
            assert event == "in time" or circuit.pause >= min(30, max(0.1, 2 * before))
        elif event == "failed":
            circuit.failed()
            assert circuit.is_open
        else:
            circuit.answered(in_time=event == "in time")
            assert event == "late" or not circuit.is_open
        assert 0 <= circuit.pause <= 30
