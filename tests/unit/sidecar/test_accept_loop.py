"""Unknown methods, and the memory of calls."""

import asyncio
import gc
import socket
from pathlib import Path

import grpc
import grpc.aio
import h2.config
import h2.connection
import h2.events
import pytest
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.testing import Pod, running_pod


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
