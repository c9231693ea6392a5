"""Where calls go, by what the target stands for."""

from contextlib import AsyncExitStack

import grpc
import pytest
from undertone_client import Client, SettingsError
from undertone_client.grpc_transport import open_channel
from undertone_client.testing import FakeClassifier
from undertone_protos.v1 import classifier_pb2 as pb
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc

ENOUGH = 1000
"""Calls within which both connections stand; usually it is a handful."""


async def test_calls_are_spread_over_all_addresses_of_a_target() -> None:
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(FakeClassifier()) for _ in range(2)]
        target = "ipv4:" + ",".join(service.target for service in services)
        client = await stack.enter_async_context(Client(target))
        for _ in range(ENOUGH):
            await client.classify("the rain had stopped")
            if all(service.calls for service in services):
                return
        pytest.fail(f"of {ENOUGH} calls they had {[len(service.calls) for service in services]}")


async def test_an_address_that_is_not_there_takes_no_calls(service: FakeClassifier) -> None:
    async with Client(f"ipv4:127.0.0.1:1,{service.target}") as client:
        for _ in range(10):
            await client.classify("the rain had stopped")


@pytest.mark.parametrize("target", ["localhost:0", "dns:///localhost:65536", "ipv4:127.0.0.1:1,127.0.0.1:70000"])
def test_a_port_that_there_cannot_be_is_named(target: str) -> None:
    with pytest.raises(SettingsError, match=r"has the port \d+; give one from 1 to 65535"):
        Client(target)


@pytest.mark.parametrize("prefix", ["unix:", "unix://"])
async def test_a_socket_is_one_address(tmp_path_factory: pytest.TempPathFactory, prefix: str) -> None:
    # The test's own folder has a name too long for a socket in it. The socket's name looks like a port, and is none.
    target = f"{prefix}{tmp_path_factory.mktemp('socket')}/classifier:99999"
    server = grpc.aio.server()
    pb_grpc.add_ClassifierServicer_to_server(FakeClassifier(), server)
    server.add_insecure_port(target)
    await server.start()
    try:
        async with open_channel(target, None) as channel:
            answer = await pb_grpc.ClassifierStub(channel).Classify(pb.ClassifyRequest(text="the rain had stopped"))
        assert answer.label
    finally:
        await server.stop(None)
