import logging

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import get_current_span
from undertone_telemetry.tracing import TraceIdFilter
from undertone_telemetry.tracing.spans import server_attributes


def test_log_records_within_a_sampled_span_carry_its_ids() -> None:
    def ids() -> tuple[object, object]:
        record = logging.makeLogRecord({})
        assert TraceIdFilter().filter(record)
        return getattr(record, "trace_id", None), getattr(record, "span_id", None)

    assert ids() == (None, None)
    with TracerProvider(sampler=ALWAYS_ON).get_tracer("test").start_as_current_span("call"):
        context = get_current_span().get_span_context()
        assert ids() == (f"{context.trace_id:032x}", f"{context.span_id:016x}")
    with TracerProvider(sampler=ALWAYS_OFF).get_tracer("test").start_as_current_span("call"):
        assert ids() == (None, None)


@pytest.mark.parametrize(
    ("target", "address", "port"),
    [
        ("localhost:50051", "localhost", 50051),
        ("dns:///undertone.example:443", "undertone.example", 443),
        ("[::1]:8500", "::1", 8500),
        ("unix:///run/model.sock", "/run/model.sock", None),
        ("unix:/run/model.sock", "/run/model.sock", None),
        ("undertone.example", "undertone.example", None),
    ],
)
def test_the_attributes_of_a_target(target: str, address: str, port: int | None) -> None:
    attributes = server_attributes(target)
    assert (attributes["server.address"], attributes.get("server.port")) == (address, port)
