"""Unknown methods, failures and stops of the accept loop, and the memory of calls."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import h2.config
import h2.connection
import h2.events
import pytest
from grpc._cython import cygrpc
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc
from undertone_sidecar import accept_loop, grpc_server
from undertone_sidecar.accept_loop import Server
from undertone_sidecar.call_guard import CallGuard, CallLimits
from undertone_sidecar.events import ignore
from undertone_sidecar.testing import Pod, running_pod

METHODS = 3
REQUEST = classifier_pb2.ClassifyRequest(text="rain")


def call_with_path(port: int, path: bytes) -> dict[bytes, bytes]:
    """The headers that answer a call of a method, with any bytes in its name."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None, validate_outbound_headers=False))
    headers = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"undertone")]
    with socket.create_connection(("localhost", port), timeout=60) as connected:
        connection.initiate_connection()
        connection.send_headers(1, [*headers, (b"content-type", b"application/grpc"), (b"te", b"trailers")], end_stream=True)
        connected.sendall(connection.data_to_send())
        while data := connected.recv(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    return dict(event.headers)
    raise AssertionError("the server closed the connection")


@pytest.mark.parametrize("path", [b"/undertone.v1.Classifier/\xff\xfe", b"/undertone.v1.Classifier/Nothing", b"/", b"Classify"])
async def test_an_unknown_method_is_unimplemented_and_does_not_stop_the_server(base: Path, path: bytes) -> None:
    async with running_pod(base) as pod:
        for _ in range(3):
            headers = await asyncio.to_thread(call_with_path, pod.sidecar.port, path)
            assert headers[b"grpc-status"] == b"12"
        await pod.stub.Classify(classifier_pb2.ClassifyRequest(text="rain"))


async def calls(pod: Pod, count: int) -> None:
    for _ in range(count):
        await pod.stub.Classify(classifier_pb2.ClassifyRequest(text="rain"))
        with pytest.raises(grpc.aio.AioRpcError):
            await pod.stub.Classify(classifier_pb2.ClassifyRequest(text=""))


async def test_a_call_leaves_no_reference_cycles(base: Path) -> None:
    async with running_pod(base) as pod:
        await calls(pod, 10)
        gc.collect()
        gc.disable()
        try:
            gc.set_debug(gc.DEBUG_SAVEALL)
            await calls(pod, 50)
            gc.collect()
            names = [type(garbage).__name__ for garbage in gc.garbage]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    # The fake model server, which is in the same process, leaves others.
    assert names.count("RPCState") < 10
    assert names.count("ClassifyRequest") < 10


class Servicer(classifier_pb2_grpc.ClassifierServicer):
    async def Classify(self, request: classifier_pb2.ClassifyRequest, context: object) -> classifier_pb2.ClassifyResponse:  # noqa: N802
        return classifier_pb2.ClassifyResponse(id=request.id)

    ClassifyBatch = GetModel = Classify  # type: ignore[assignment]


@asynccontextmanager
async def serving() -> "AsyncIterator[tuple[Server, classifier_pb2_grpc.ClassifierAsyncStub]]":
    server = grpc_server.server([CallGuard(CallLimits(), ignore)], ())
    classifier_pb2_grpc.add_ClassifierServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("localhost:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        yield server, classifier_pb2_grpc.ClassifierStub(channel)
    await server.stop(None)


async def test_a_call_that_grpc_could_not_accept_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    request, failures, waiting = accept_loop._AcceptLoop._request_registered_call, 5, 0

    async def flaky(self: Any, method: bytes) -> Any:
        nonlocal failures, waiting
        if failures:
            failures -= 1
            raise cygrpc._RequestCallError("simulated")
        waiting += 1
        try:
            return await request(self, method)
        finally:
            waiting -= 1

    monkeypatch.setattr(accept_loop._AcceptLoop, "_request_registered_call", flaky)
    async with serving() as (_, stub):
        for _ in range(10):
            await stub.Classify(REQUEST)
        assert (failures, waiting) == (0, METHODS * accept_loop._ACCEPTS_PER_METHOD)
    # All accepts have ended with the server.
    assert waiting == 0


async def test_a_server_that_cannot_accept_calls_any_more_reports_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    request, is_broken = accept_loop._AcceptLoop._request_registered_call, False

    async def broken(self: Any, method: bytes) -> Any:
        if is_broken:
            raise RuntimeError("simulated")
        return await request(self, method)

    monkeypatch.setattr(accept_loop._AcceptLoop, "_request_registered_call", broken)
    async with serving() as (server, stub):
        failure = asyncio.create_task(server.failure())
        await stub.Classify(REQUEST)
        assert not failure.done()
        is_broken = True
        await stub.Classify(REQUEST).code()
        with pytest.raises(RuntimeError, match="simulated"):
            await failure
        # gRPC raises the error again, unless it has already stopped the server.
        with suppress(RuntimeError):
            await server.stop(None)


async def test_calls_that_grpc_hands_over_during_a_stop_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    request, arrived, stopping = accept_loop._AcceptLoop._request_registered_call, 0, asyncio.Event()

    async def delayed(self: Any, method: bytes) -> Any:
        nonlocal arrived
        call = await request(self, method)
        arrived += 1
        await stopping.wait()
        return call

    monkeypatch.setattr(accept_loop._AcceptLoop, "_request_registered_call", delayed)
    async with serving() as (server, stub):
        calls = [stub.Classify(REQUEST) for _ in range(20)]
        while arrived < len(calls):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        stop = asyncio.create_task(server.stop(60))
        while server._server.is_running():  # noqa: ASYNC110
            await asyncio.sleep(0)
        for _ in range(100):  # gRPC's loop ends.
            await asyncio.sleep(0)
        stopping.set()
        assert {await call.code() for call in calls} == {grpc.StatusCode.OK}
        await stop
        assert not server._server._calls
