"""Targets and addresses of the gRPC transport."""

from contextlib import AsyncExitStack

import grpc
import pytest
from undertone_client import BreakerSettings, Client, Mode, RetryPolicy, Settings, SettingsError, UnavailableError
from undertone_client.grpc_transport import open_channel
from undertone_client.testing import FakeClassifier
from undertone_protos.v1 import classifier_pb2 as pb
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc

MAX_CALLS = 1000
"""Calls until both connections are established. Usually a handful suffice."""


async def test_calls_are_distributed_over_all_addresses_of_a_target() -> None:
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(FakeClassifier()) for _ in range(2)]
        target = "ipv4:" + ",".join(service.target for service in services)
        client = await stack.enter_async_context(Client(target))
        for _ in range(MAX_CALLS):
            await client.classify("the rain had stopped")
            if all(service.calls for service in services):
                return
        pytest.fail(f"the services received {[len(service.calls) for service in services]}")


async def test_an_unreachable_address_receives_no_calls(service: FakeClassifier) -> None:
    async with Client(f"ipv4:127.0.0.1:1,{service.target}") as client:
        for _ in range(10):
            await client.classify("the rain had stopped")


@pytest.mark.parametrize("target", ["localhost:0", "dns:///localhost:65536", "ipv4:127.0.0.1:1,127.0.0.1:70000"])
def test_an_invalid_port_is_rejected(target: str) -> None:
    with pytest.raises(SettingsError, match=r"has the port \d+; give one from 1 to 65535"):
        Client(target)


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("127.0.0.1:1", "no program listens at this address: start the service, or correct the target (gRPC: "),
        ("nowhere.invalid:50051", "the name of the host is unknown: correct the target (gRPC: "),
    ],
)
async def test_a_failed_connection_is_explained(target: str, problem: str) -> None:
    settings = Settings(mode=Mode.ONLINE, retry=RetryPolicy(attempts=1), breaker=BreakerSettings(patience_seconds=0))
    async with Client(target, settings=settings) as client:
        with pytest.raises(UnavailableError) as refused:
            await client.classify("the rain had stopped")
        assert refused.value.reason.startswith(problem)


@pytest.mark.parametrize("prefix", ["unix:", "unix://"])
async def test_a_unix_socket_is_a_single_address(tmp_path_factory: pytest.TempPathFactory, prefix: str) -> None:
    # tmp_path is too long for a socket. The end of this socket's name looks like a port.
    target = f"{prefix}{tmp_path_factory.mktemp('socket')}/classifier:99999"
    server = grpc.aio.server()
    pb_grpc.add_ClassifierServicer_to_server(FakeClassifier(), server)
    server.add_insecure_port(target)
    await server.start()
    try:
        async with open_channel(target, None) as channel:
            reply = await pb_grpc.ClassifierStub(channel).Classify(pb.ClassifyRequest(text="the rain had stopped"))
        assert reply.label
    finally:
        await server.stop(None)
