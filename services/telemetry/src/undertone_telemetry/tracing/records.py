"""Which trace a line of the log belongs to."""

import logging

from opentelemetry.trace import format_span_id, format_trace_id, get_current_span


class TraceIds(logging.Filter):
    """Adds trace_id and span_id to records that are logged while a sampled span is current; lets all through."""

    def filter(self, record: logging.LogRecord) -> bool:
        context = get_current_span().get_span_context()
        if context.is_valid and context.trace_flags.sampled:
            record.trace_id = format_trace_id(context.trace_id)
            record.span_id = format_span_id(context.span_id)
        return True
