"""Traces of requests, from the client's call to TF Serving's batch. Costs no import until it is switched on."""

from undertone_telemetry.tracing.opening import is_traced, open_tracing, problems

__all__ = ["is_traced", "open_tracing", "problems"]
