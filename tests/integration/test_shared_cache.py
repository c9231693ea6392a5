"""Sidecars that share their answers in a real Redis."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from redis.asyncio import Redis
from undertone_bench.redis_server import RedisServer, find_redis
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.answer_cache import MIN_BYTES
from undertone_sidecar.answer_cache.redis_answers import PREFIX
from undertone_sidecar.testing import Pod, running_pod, write_version

pytestmark = pytest.mark.skipif(find_redis() is None, reason="redis-server is not on the PATH; .ci/redis unpacks it")

TEXTS = ["the rain had stopped", "she laughed", "home at last", "the door was open"]
PATIENT = {"cache_redis_timeout_seconds": 1.0}
"""For tests whose reads must succeed on a busy machine."""


@pytest.fixture
def redis(tmp_path: Path) -> RedisServer:
    return RedisServer(tmp_path)


@asynccontextmanager
async def pods(tmp_path: Path, *urls: str, **settings: Any) -> AsyncIterator[list[Pod]]:
    """Pods with equal models."""
    folders = [tmp_path / str(number) / "emotions" for number in range(len(urls))]
    for folder in folders:
        write_version(folder, 1)
    for folder in folders[1:]:
        # The same contract, as if all pods had copied one export.
        (folder / "1" / "contract.json").write_bytes((folders[0] / "1" / "contract.json").read_bytes())
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(running_pod(folder, cache_redis=url, **settings))
            for folder, url in zip(folders, urls, strict=True)
        ]


async def classify(pod: Pod, *texts: str) -> list[classifier_pb2.Classification]:
    """The answers of one call. Fails if a paragraph failed."""
    request = classifier_pb2.ClassifyBatchRequest(paragraphs=[classifier_pb2.Paragraph(text=text) for text in texts])
    reply = await pod.stub.ClassifyBatch(request)
    assert not any(result.HasField("error") for result in reply.results)
    return [result.classification for result in reply.results]


async def wait_until(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():  # noqa: ASYNC110 — Redis sends no event
        await asyncio.sleep(0.01)


async def wait_until_used(pod: Pod) -> None:
    async def is_used() -> bool:
        return pod.sidecar._redis is not None and pod.sidecar._redis.is_used

    await wait_until(is_used)


async def wait_for_keys(redis: RedisServer, count: int, **options: Any) -> None:
    """Waits until Redis has this number of answers."""
    async with Redis(host="127.0.0.1", port=redis.port, **options) as client:

        async def has_keys() -> bool:
            return len(await client.keys(PREFIX + b"*")) == count

        await wait_until(has_keys)


async def test_a_pod_answers_the_texts_of_another_one(tmp_path: Path, redis: RedisServer) -> None:
    with redis:
        async with pods(tmp_path, redis.url, redis.url, **PATIENT) as (first, second):
            for pod in (first, second):
                await wait_until_used(pod)
            original = await classify(first, *TEXTS, TEXTS[0])
            await wait_for_keys(redis, len(TEXTS))
            calls = len(second.serving.shapes)
            assert await classify(second, *TEXTS, TEXTS[0]) == original
            assert len(second.serving.shapes) == calls
            await second.wait_metric('undertone_cache_paragraphs_total{result="hit",tier="redis"}', len(TEXTS))
            await second.wait_metric("undertone_shared_paragraphs_total", 1)
            assert 'undertone_cache_seconds_count{operation="read",tier="redis"}' in await second.metrics()


async def test_answers_expire_and_another_policy_has_answers_of_its_own(tmp_path: Path, redis: RedisServer) -> None:
    with redis:
        async with pods(tmp_path, redis.url, cache_redis_ttl_seconds=1000.0, **PATIENT) as [pod]:
            await wait_until_used(pod)
            for policy in (classifier_pb2.OVERLENGTH_POLICY_TRUNCATE, classifier_pb2.OVERLENGTH_POLICY_CHUNK_MEAN):
                await pod.stub.Classify(classifier_pb2.ClassifyRequest(text="rain", overlength_policy=policy))
            await wait_for_keys(redis, 2)
            async with Redis(port=redis.port) as client:
                for key in await client.keys():
                    assert 900 < await client.ttl(key) <= 1000


async def test_damaged_values_are_calculated_again(tmp_path: Path, redis: RedisServer) -> None:
    with redis:
        async with pods(tmp_path, redis.url, redis.url, **PATIENT) as (first, second):
            await wait_until_used(second)
            original = await classify(first, *TEXTS)
            await wait_for_keys(redis, len(TEXTS))
            async with Redis(port=redis.port) as client:
                keys = await client.keys()
                await client.execute_command("COPY", keys[0], keys[1], "REPLACE")  # type: ignore[no-untyped-call]
                await client.set(keys[0], bytes(64))
                await client.delete(keys[2])
                await client.lpush(keys[2], "a list")
                await client.set(keys[3], b"")
            assert await classify(second, *TEXTS) == original
            await second.wait_metric('undertone_cache_paragraphs_total{result="error",tier="redis"}', 3)


async def test_calls_go_on_while_redis_is_killed_paused_and_started_again(tmp_path: Path, redis: RedisServer) -> None:
    """Two pods under load. No call fails, and Redis is used again each time."""
    answered = 0

    async def load(pod: Pod, caller: int) -> None:
        nonlocal answered
        number = 0
        while True:
            await classify(pod, TEXTS[number % 4], f"rain {caller} {number}", f"home {number}")
            number += 1
            answered += 1

    async def calls(count: int) -> None:
        """Waits for further answers."""
        wanted = answered + count

        async def are_answered() -> bool:
            for task in tasks:
                if task.done():
                    task.result()
            return answered >= wanted

        await wait_until(are_answered)

    redis.start()
    async with pods(tmp_path, redis.url, redis.url, cache_redis_timeout_seconds=0.25) as both:
        tasks = [asyncio.create_task(load(pod, caller)) for pod in both for caller in range(3)]
        try:
            for pod in both:
                await wait_until_used(pod)
            await calls(30)
            redis.kill()
            await calls(60)
            redis.start()
            for pod in both:
                await wait_until_used(pod)
            await calls(30)
            redis.pause()
            await calls(100)
            redis.resume()
            for pod in both:
                await wait_until_used(pod)
            await calls(30)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            redis.kill()
        assert all(isinstance(each, asyncio.CancelledError) for each in ended)


async def test_a_full_redis_still_answers_what_it_has(tmp_path: Path, redis: RedisServer) -> None:
    with redis:
        async with pods(tmp_path, redis.url, redis.url, **PATIENT) as (first, second):
            await wait_until_used(second)
            await classify(first, *TEXTS)
            await wait_for_keys(redis, len(TEXTS))
            async with Redis(port=redis.port) as client:
                await client.config_set("maxmemory", "1")
            await classify(second, *TEXTS, "she was home")
            await second.wait_metric('undertone_cache_paragraphs_total{result="hit",tier="redis"}', len(TEXTS))
            await second.wait_metric('undertone_cache_errors_total{operation="write",reason="refused",tier="redis"}', 1)


async def test_a_redis_that_evicts_costs_only_hits(tmp_path: Path, redis: RedisServer) -> None:
    with redis:
        async with pods(tmp_path, redis.url, **PATIENT) as [pod], Redis(port=redis.port) as client:
            await wait_until_used(pod)
            await client.config_set("maxmemory-policy", "allkeys-lru")
            await client.config_set("maxmemory", (await client.info("memory"))["used_memory"] + 50_000)
            for number in range(8):
                await classify(pod, *(f"rain {number} {paragraph}" for paragraph in range(100)))

            async def has_evicted() -> bool:
                return bool((await client.info("stats"))["evicted_keys"] > 0)

            await wait_until(has_evicted)
            await classify(pod, *(f"rain {number} 0" for number in range(8)))


async def test_a_pod_is_ready_and_answers_without_redis(tmp_path: Path, redis: RedisServer) -> None:
    async with pods(tmp_path, redis.url, cache_bytes=MIN_BYTES) as [pod]:
        assert len(await classify(pod, *TEXTS)) == len(TEXTS)
        calls = len(pod.serving.shapes)
        await classify(pod, *TEXTS)
        assert len(pod.serving.shapes) == calls
        await pod.wait_metric('undertone_cache_errors_total{operation="read",reason="paused",tier="redis"}', 1)


async def test_tls_and_a_user_whose_password_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With client certificates. The passwords are in no log."""
    for name in ("undertone_sidecar", "redis"):
        caplog.set_level(logging.DEBUG, name)
    authority, secret = trustme.CA(), tmp_path / "password"
    certificate = authority.issue_cert("127.0.0.1")
    names = {name: tmp_path / name for name in ("ca.crt", "tls.crt", "tls.key")}
    authority.cert_pem.write_to_path(str(names["ca.crt"]))
    certificate.cert_chain_pems[0].write_to_path(str(names["tls.crt"]))
    certificate.private_key_pem.write_to_path(str(names["tls.key"]))
    ca, chain, key = (str(path) for path in names.values())
    options = ("--tls-ca-cert-file", ca, "--tls-cert-file", chain, "--tls-key-file", key, "--requirepass", "another")
    user = ("--user", "sidecar", "on", ">right-password", "~undertone:*", "+mget", "+set", "+ping", "+select")
    settings = {
        "cache_redis_ca": names["ca.crt"],
        "cache_redis_cert": names["tls.crt"],
        "cache_redis_key": names["tls.key"],
        "cache_redis_password_file": secret,
    }
    secret.write_text("wrong-password\n")
    with RedisServer(tmp_path, *options, *user, tls=True) as redis:
        async with pods(tmp_path, redis.url.replace("://", "://sidecar@"), **PATIENT, **settings) as [pod]:
            refused = 'undertone_cache_errors_total{operation="connect",reason="connection",tier="redis"}'

            async def is_refused() -> bool:
                return refused in await pod.metrics()

            await wait_until(is_refused)
            await classify(pod, *TEXTS)
            secret.write_text("right-password\n")
            await wait_until_used(pod)
            await classify(pod, *TEXTS)
            client = {"ssl": True, "ssl_ca_certs": ca, "ssl_certfile": chain, "ssl_keyfile": key, "password": "another"}
            await wait_for_keys(redis, len(TEXTS), **client)
    assert "does not use Redis until it answers in time" in caplog.text
    assert "right-password" not in caplog.text
    assert "wrong-password" not in caplog.text
