"""Operation of Envoy: access log, metrics port and shutdown."""

import asyncio
import itertools
import signal

import grpc
from undertone_protos.v1 import classifier_pb2_grpc

from tests.integration.envoy.conftest import Fleet
from tests.integration.support.callers import Stub, ask, paragraphs
from tests.integration.support.envoy import Envoy, EnvoyLauncher, request

TEXT = "the rain xylophone had stopped"


async def test_the_access_log_contains_calls_but_no_texts(envoy: Envoy, stub: Stub) -> None:
    await ask(stub, TEXT)
    for method, path, body in (
        ("POST", "/v1/paragraphs:classify", b'{"text": "%s"}' % TEXT.encode()),
        ("POST", "/v1/paragraphs:classify", b'{"text": "%s"' % TEXT.encode()),
        ("POST", "/v1/paragraphs:classify?text=xylophone", b'{"txet": "%s"}' % TEXT.encode()),
        ("GET", "/xylophone?text=xylophone", None),
    ):
        request(envoy.api, method, path, body, Content_Type="application/json", User_Agent="xylophone", Referer="xylophone")

    def routes() -> list[str]:
        return [line["route"] for line in envoy.access_log()]

    envoy.until(lambda: routes().count("unknown") >= 1, "the last request is in the log")
    assert "xylophone" not in envoy.log
    call = next(line for line in reversed(envoy.access_log()) if line["route"] == "Classify" and line["grpc_status"] == "OK")
    assert (call["http_status"], call["details"], call["attempts"]) == (200, "via_upstream", 1)
    assert call["duration_ms"] >= call["upstream_ms"]


def test_the_metrics_port_serves_statistics_but_no_other_admin_endpoint(envoy: Envoy) -> None:
    page = request(envoy.metrics, "GET", "/stats/prometheus")
    assert page.status == 200
    assert b'envoy_cluster_upstream_rq_total{envoy_cluster_name="sidecars"}' in page.body
    for path in ("/", "/config_dump", "/stats", "/clusters", "/stats/prometheus/../../config_dump", "//config_dump"):
        assert request(envoy.metrics, "GET", path).status == 404
    for path in ("/quitquitquit", "/healthcheck/fail", "/ready", "/stats/prometheus"):
        assert request(envoy.metrics, "POST", path).status == 404
    assert request(envoy.metrics, "GET", "/live").status == 200


def test_the_log_has_no_warnings(envoy: Envoy) -> None:
    assert [line for line in envoy.log.splitlines() if not line.startswith("{")] == []


async def test_an_envoy_that_stops_under_load_fails_no_call(launch_envoy: EnvoyLauncher, fleet: Fleet) -> None:
    ending, staying = (launch_envoy.envoy(fleet.sidecars) for _ in range(2))
    for one in (ending, staying):
        one.until_used(fleet.sidecars)
    failures, stopped = [], asyncio.Event()
    # Like a Service in front of both.
    target = f"ipv4:{ending.target},{staying.target}"
    # gRPC by default repeats calls that were not started because of a GOAWAY.
    options = (("grpc.lb_policy_name", "round_robin"),)
    async with grpc.aio.insecure_channel(target, options=options) as channel, asyncio.TaskGroup() as group:
        stub: Stub = classifier_pb2_grpc.ClassifierStub(channel)

        async def call(text: str) -> None:
            try:
                await ask(stub, text)
            except grpc.aio.AioRpcError as error:
                failures.append(error)

        async def load() -> None:
            for text in itertools.cycle(paragraphs(64, longest=8)):
                if stopped.is_set():
                    return
                group.create_task(call(text))
                await asyncio.sleep(0.005)

        group.create_task(load())
        await asyncio.sleep(0.5)
        hook = asyncio.create_task(asyncio.to_thread(ending.pre_stop))
        await asyncio.to_thread(ending.until, lambda: not ending.ready(), "Envoy is not ready any more")
        await hook
        ending.signal(signal.SIGTERM)
        assert await asyncio.to_thread(ending.wait) == 0
        await asyncio.sleep(0.2)
        stopped.set()
    assert failures == []
    assert ending.access_log()
    assert staying.access_log()
