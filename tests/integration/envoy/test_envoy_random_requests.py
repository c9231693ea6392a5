"""No request affects the calls of others, whatever its method, path, headers and body."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.envoy.conftest import Fleet
from tests.integration.support.envoy import Envoy
from tests.integration.support.envoy_requests import FRAME, JSON, JSON_BATCH, JSON_CLASSIFY, MODEL
from tests.integration.support.hostile_requests import CLASSIFY
from tests.integration.support.http2 import Http2Connection, grpc_frame, grpc_headers

PATHS = st.sampled_from([CLASSIFY, JSON_CLASSIFY, JSON_BATCH, MODEL, "/grpc.health.v1.Health/Check", "/", f"{CLASSIFY}?a"])
TYPES = st.sampled_from([None, "application/grpc", "application/grpc+proto", "application/json", "text/plain"])
NAMES = st.sampled_from(
    ["grpc-encoding", "grpc-timeout", "grpc-accept-encoding", "a-bin", "te", "traceparent", "expect", "x-a"]
)
HEADERS = st.lists(st.tuples(NAMES, st.text(st.characters(codec="latin-1"), max_size=300)), max_size=4)
BODIES = st.one_of(
    st.binary(max_size=64),
    st.sampled_from([FRAME, FRAME[:7], FRAME * 2, JSON, JSON[:-1]]),
    st.builds(lambda message, flag: grpc_frame(message, compressed=flag), st.binary(max_size=32), st.integers(0, 255)),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["POST", "GET", "PUT", "HEAD", "OPTIONS"]),
    path=PATHS,
    content_type=TYPES,
    headers=HEADERS,
    body=BODIES,
    complete=st.booleans(),
)
def test_no_request_affects_other_callers(
    envoy: Envoy,
    fleet: Fleet,
    method: str,
    path: str,
    content_type: str | None,
    headers: list[tuple[str, str]],
    body: bytes,
    complete: bool,
) -> None:
    envoy.until_used(fleet.sidecars)
    before = envoy.ejections(), envoy.statistic("cluster.sidecars.upstream_rq_retry")
    with Http2Connection(envoy.api) as attacker, Http2Connection(envoy.api) as neighbour:
        stream = attacker.open([*grpc_headers(path, _method=method, content_type=content_type), *headers])
        attacker.send(stream, body, end=complete)
        if complete:
            attacker.until_ended([stream])
        assert [neighbour.exchange(grpc_headers(), FRAME).grpc_status for _ in range(3)] == [0, 0, 0]
    assert (envoy.ejections(), envoy.statistic("cluster.sidecars.upstream_rq_retry")) == before
    assert envoy.used() == set(fleet.sidecars)
