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
        host = request.client.host if request.client else ""
        return caller_of(
            request.headers.items() if self.trust_headers else (),
            peer=f"ipv6:[{host}]:0" if ":" in host else f"ipv4:{host}:0",
            certificate_names=getattr(request.state, "certificate_names", ()),
            trust_metadata=self.trust_headers,
        )
