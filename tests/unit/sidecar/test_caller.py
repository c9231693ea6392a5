from dataclasses import dataclass
from typing import Any

import pytest
from undertone_sidecar.caller import CALLER, HTTP_CALLER, _network_or_identity, caller_of, caller_of_call

PEER = "ipv4:192.0.2.7:50123"


@pytest.mark.parametrize(
    ("peer", "caller"),
    [
        (PEER, "192.0.2.7"),
        ("ipv6:%5B2001:db8:1:2:3::4%5D:443", "2001:db8:1:2::/64"),
        ("ipv6:[2001:db8:1:2:ffff::]:443", "2001:db8:1:2::/64"),
        ("ipv6:%5B::ffff:192.0.2.7%5D:443", "192.0.2.7"),
        ("unix:", "unix"),
    ],
)
def test_a_direct_caller_is_identified_by_its_address_without_the_port(peer: str, caller: str) -> None:
    assert caller_of([], peer=peer, trust_metadata=False) == caller


def test_the_metadata_counts_only_if_they_are_trusted() -> None:
    metadata = [("user-agent", "test"), (CALLER, "reader-1")]
    assert caller_of(metadata, peer=PEER, trust_metadata=True) == "reader-1"
    assert caller_of(metadata, peer=PEER, trust_metadata=False) == "192.0.2.7"
    assert caller_of([(CALLER, "")], peer=PEER, trust_metadata=True) == "192.0.2.7"


@dataclass(frozen=True)
class Call:
    """A call on a connection of `address`."""

    address: str
    metadata: tuple[tuple[str, str | bytes], ...]

    def peer(self) -> str:
        return self.address

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        return self.metadata

    def peer_identities(self) -> None:
        """None: no certificate."""


@pytest.mark.parametrize("trusted", [False, True])
def test_the_http_port_names_the_caller_on_its_socket_only(trusted: bool) -> None:
    metadata = ((HTTP_CALLER, "Müller".encode()),)
    for peer, caller in (("unix:", "Müller"), (PEER, "192.0.2.7")):
        call: Any = Call(peer, metadata)
        assert caller_of_call(call, trust_metadata=trusted) == caller


def test_a_client_certificate_has_precedence_over_the_address() -> None:
    assert caller_of([], peer=PEER, certificate_names=[b"reader.example"], trust_metadata=False) == "reader.example"


def test_the_addresses_of_an_ipv6_network_are_one_caller_and_long_identities_are_bounded() -> None:
    def trusted(identity: str) -> str:
        return caller_of([(CALLER, identity)], peer=PEER, trust_metadata=True)

    assert trusted("2001:db8::1") == trusted("2001:db8::ffff") != trusted("2001:db8:0:1::1")
    assert len(trusted("x" * 5000)) <= 128
    assert trusted("x" * 5000) != trusted("x" * 5001)


def test_long_identities_are_not_kept_in_memory() -> None:
    _network_or_identity.cache_clear()
    for number in range(10):
        caller_of([(CALLER, f"{number}" * 5000)], peer=PEER, trust_metadata=True)
    assert _network_or_identity.cache_info().currsize == 0
