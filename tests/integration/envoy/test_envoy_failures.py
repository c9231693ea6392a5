"""Retries, outlier detection and deadlines of Envoy when pods fail."""

import asyncio
from collections import Counter

import grpc
import pytest
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

from tests.integration.support.callers import Stub, classify_code
from tests.integration.support.envoy import EnvoyLauncher
from tests.integration.support.scripted_pod import Context, ScriptedPod, envoy_for, failing, succeed

CALLS = 50
NEVER = {"consecutiveFailures": 1000, "ejectionSeconds": 300}


async def test_a_failed_call_is_retried_on_another_pod(launch_envoy: EnvoyLauncher) -> None:
    async with ScriptedPod(failing(grpc.StatusCode.UNAVAILABLE)) as bad, ScriptedPod(succeed) as good:
        async with envoy_for(launch_envoy, [bad, good], outlierDetection=NEVER) as (_, stub):
            assert {await classify_code(stub, str(number)) for number in range(20)} == {grpc.StatusCode.OK}
        assert bad.ids
        assert set(bad.ids) <= set(good.ids)


async def test_retries_stay_within_their_budget(launch_envoy: EnvoyLauncher) -> None:
    all_failing, released = asyncio.Event(), asyncio.Event()
    seen: Counter[str] = Counter()

    async def fail_once(request: classifier_pb2.ClassifyRequest, context: Context) -> classifier_pb2.ClassifyResponse:
        seen[request.id] += 1
        if seen[request.id] == 1:
            if len(seen) == CALLS:
                all_failing.set()
            await all_failing.wait()
            await context.abort(grpc.StatusCode.UNAVAILABLE, "as the test asked")
        await released.wait()
        return classifier_pb2.ClassifyResponse(id=request.id)

    async with (
        ScriptedPod(fail_once) as one,
        ScriptedPod(fail_once) as other,
        envoy_for(launch_envoy, [one, other], outlierDetection=NEVER, retries={"budgetPercent": 20, "budgetLeast": 3}) as (
            envoy,
            stub,
        ),
    ):
        calls = [asyncio.create_task(classify_code(stub, str(number))) for number in range(CALLS)]
        refused = "cluster.sidecars.upstream_rq_retry_overflow"

        def decided() -> bool:
            return envoy.statistic(refused) + envoy.statistic("cluster.sidecars.upstream_rq_retry") == CALLS

        await asyncio.to_thread(envoy.until, decided, "each call is retried or has failed")
        released.set()
        codes = Counter(await asyncio.gather(*calls))
        assert envoy.statistic(refused) == codes[grpc.StatusCode.UNAVAILABLE]
    # The budget is 20 % of the active calls, which become fewer, but at least 3.
    assert 3 <= codes[grpc.StatusCode.OK] <= CALLS * 0.2
    assert codes.total() == codes[grpc.StatusCode.OK] + codes[grpc.StatusCode.UNAVAILABLE]
    assert seen.total() == CALLS + codes[grpc.StatusCode.OK]


async def test_a_healthy_pod_that_does_not_answer_is_ejected(launch_envoy: EnvoyLauncher) -> None:
    async def hang(_: classifier_pb2.ClassifyRequest, __: Context) -> classifier_pb2.ClassifyResponse:
        await asyncio.Event().wait()
        raise AssertionError("nothing sets the event")

    outliers = {"ejectionSeconds": 300, "intervalSeconds": 3}
    values = {"timeouts": {"attemptSeconds": {"Classify": 0.5}}, "outlierDetection": outliers}
    async with (
        ScriptedPod(hang) as bad,
        ScriptedPod(succeed) as good,
        envoy_for(launch_envoy, [bad, good], **values) as (envoy, stub),
    ):
        calls = 0
        while envoy.used() != {good.port}:
            calls += 2  # Fewer concurrent calls than the minimum retry budget.
            codes = await asyncio.gather(*(classify_code(stub, str(number)) for number in range(2)))
            assert set(codes) == {grpc.StatusCode.OK}
        assert len(good.ids) == calls


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL]
)
async def test_deadlines_overload_and_errors_neither_eject_a_pod_nor_cause_retries(
    launch_envoy: EnvoyLauncher, code: grpc.StatusCode
) -> None:
    async with ScriptedPod(failing(code)) as pod, ScriptedPod(failing(code)) as other:
        async with envoy_for(launch_envoy, [pod, other], outlierDetection={"ejectionSeconds": 300}) as (envoy, stub):
            assert {await classify_code(stub, str(number)) for number in range(30)} == {code}
            assert envoy.used() == {pod.port, other.port}
        # Without retries.
        assert len(pod.ids) + len(other.ids) == 30


async def test_deadlines_are_forwarded_and_every_call_has_one(launch_envoy: EnvoyLauncher) -> None:
    async def remaining(_: classifier_pb2.ClassifyRequest, context: Context) -> classifier_pb2.ClassifyResponse:
        return classifier_pb2.ClassifyResponse(id=str(context.time_remaining()))

    async with ScriptedPod(remaining) as pod, envoy_for(launch_envoy, [pod], timeouts={"callSeconds": 40}) as (_, stub):
        request = classifier_pb2.ClassifyRequest(text="rain")
        # gRPC and Envoy round a deadline up on the wire, so that more than 20 s may remain.
        assert 10 < float((await stub.Classify(request, timeout=20)).id) < 30
        assert 30 < float((await stub.Classify(request)).id) < 50


async def test_envoys_internal_headers_from_callers_are_ignored(launch_envoy: EnvoyLauncher) -> None:
    headers = {
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-upstream-rq-per-try-timeout-ms": "1",
        "x-envoy-expected-rq-timeout-ms": "1",
        "x-envoy-internal": "true",
        "x-request-id": "It was a dark and stormy night",
    }
    own = ("undertone-lane", "online")
    forwarded: list[tuple[str, str | bytes]] = []

    async def slow(_: classifier_pb2.ClassifyRequest, context: Context) -> classifier_pb2.ClassifyResponse:
        forwarded.extend(context.invocation_metadata() or ())
        await asyncio.sleep(0.2)  # Longer than the headers would allow.
        return classifier_pb2.ClassifyResponse()

    async with ScriptedPod(slow) as pod, envoy_for(launch_envoy, [pod]) as (_, stub):
        await stub.Classify(classifier_pb2.ClassifyRequest(text="rain"), metadata=(own, *headers.items()))
    assert own in forwarded
    assert not set(headers.items()) & set(forwarded)


async def test_calls_fail_at_once_without_a_pod(launch_envoy: EnvoyLauncher) -> None:
    envoy = launch_envoy.envoy([1])
    async with grpc.aio.insecure_channel(envoy.target) as channel:
        stub: Stub = classifier_pb2_grpc.ClassifierStub(channel)
        assert await classify_code(stub, "") == grpc.StatusCode.UNAVAILABLE
