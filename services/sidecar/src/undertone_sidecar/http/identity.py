"""The identity of the caller of an HTTP request."""

from dataclasses import dataclass

from starlette.requests import Request

from undertone_sidecar.caller import caller_of


@dataclass(frozen=True, slots=True)
class Identity:
    """Finds the same identity as for a gRPC call.

    `trust_headers` is the argument trust_metadata of caller_of.
    """

    trust_headers: bool

    def of(self, request: Request) -> str:
        return caller_of(
            request.headers.items() if self.trust_headers else (),
            peer=peer_of(request.client.host if request.client else ""),
            certificate_names=getattr(request.state, "certificate_names", ()),
            trust_metadata=self.trust_headers,
        )


def peer_of(address: str) -> str:
    """An IP address in gRPC's notation for peers."""
    return f"ipv6:[{address}]:0" if ":" in address else f"ipv4:{address}:0"
