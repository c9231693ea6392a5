"""The sidecar's metrics. docs/reference/metrics.md is generated from this catalogue."""

from collections.abc import Iterator
from typing import Final

from undertone_telemetry import DURATION_BUCKETS, Kind, Measurement, Metric
from undertone_telemetry.rpc import CLIENT_CATALOGUE, SERVER_CATALOGUE, CallFinished, CallMetrics, CallStarted

from undertone_sidecar.events import (
    AnswersShared,
    BatchAnswered,
    BatchSent,
    CacheRead,
    CertificateLoaded,
    Event,
    HttpAnswered,
    LabelsAssigned,
    MismatchChanged,
    ParagraphsAnswered,
    ParagraphShed,
    ReadinessChanged,
    RedisAnswered,
    RedisFailed,
    RequestDropped,
    Tokenized,
)

_BATCH_SIZE_BUCKETS: Final = tuple(float(2**power) for power in range(8))
_TOKEN_BUCKETS: Final = tuple(float(2**power) for power in range(4, 14))
_CACHE_BUCKETS: Final = (0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.05, 0.25, 1.0)
_RATIO_BUCKETS: Final = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)

_PARAGRAPHS: Final = Metric("undertone_paragraphs_total", Kind.COUNTER, "Paragraphs by status code of their result.", ("code",))
_TRUNCATED: Final = Metric("undertone_truncated_paragraphs_total", Kind.COUNTER, "Scored paragraphs that were truncated.")
_CHUNKED: Final = Metric("undertone_chunked_paragraphs_total", Kind.COUNTER, "Scored paragraphs that were split into chunks.")
_CHUNKS: Final = Metric("undertone_chunks_total", Kind.COUNTER, "Chunks of the paragraphs that were split.")
_FLAGGED: Final = Metric(
    "undertone_flagged_paragraphs_total",
    Kind.COUNTER,
    "Scored paragraphs whose result is not reliable, by reason: language or unreadable.",
    ("flag",),
)
_LABELS: Final = Metric(
    "undertone_labels_total", Kind.COUNTER, "Labels of the scored paragraphs, by model version.", ("version", "label")
)
_CACHE: Final = Metric(
    "undertone_cache_paragraphs_total",
    Kind.COUNTER,
    "Paragraphs by the result of their search in the answer cache: hit, miss or error. Absent without a cache.",
    ("tier", "result"),
)
_SHARED: Final = Metric(
    "undertone_shared_paragraphs_total",
    Kind.COUNTER,
    "Paragraphs that have the answer of an equal text that was in calculation. Absent without an answer cache.",
)
_REDIS: Final = Metric(
    "undertone_cache_seconds",
    Kind.HISTOGRAM,
    "Duration of a command of the answer cache, by tier (redis) and operation: read or write.",
    ("tier", "operation"),
    _CACHE_BUCKETS,
)
_REDIS_ERRORS: Final = Metric(
    "undertone_cache_errors_total",
    Kind.COUNTER,
    "Commands of the answer cache that failed or were not sent, by tier (redis), operation and reason.",
    ("tier", "operation", "reason"),
)
_TOKENIZE: Final = Metric(
    "undertone_tokenize_seconds",
    Kind.HISTOGRAM,
    "Duration of the tokenization of a call, the wait for a thread included.",
    buckets=DURATION_BUCKETS,
)
_QUEUE: Final = Metric(
    "undertone_queue_seconds", Kind.HISTOGRAM, "Time that a sequence waits in the queue.", ("lane",), DURATION_BUCKETS
)
_BATCHES: Final = Metric(
    "undertone_batches_total",
    Kind.COUNTER,
    "Batches sent. A prefetched batch was ready before the model server was free.",
    ("lane", "prefetched"),
)
_BATCH_ITEMS: Final = Metric(
    "undertone_batch_items", Kind.HISTOGRAM, "Number of sequences in a batch.", buckets=_BATCH_SIZE_BUCKETS
)
_BATCH_TOKENS: Final = Metric(
    "undertone_batch_tokens", Kind.HISTOGRAM, "Number of tokens in a batch, padding included.", buckets=_TOKEN_BUCKETS
)
_BATCH_PADDING: Final = Metric(
    "undertone_batch_padding_ratio", Kind.HISTOGRAM, "Share of a batch's tokens that is padding.", buckets=_RATIO_BUCKETS
)
_SENT_TOKENS: Final = Metric(
    "undertone_tokens_total", Kind.COUNTER, "Tokens sent to the model server, by kind: text or padding.", ("kind",)
)
_SHED: Final = Metric(
    "undertone_shed_paragraphs_total", Kind.COUNTER, "Paragraphs rejected before they enter the queue.", ("lane", "reason")
)
_DROPPED: Final = Metric(
    "undertone_dropped_sequences_total",
    Kind.COUNTER,
    "Sequences that left the queue without a Predict call.",
    ("lane", "reason"),
)
_READY: Final = Metric("undertone_ready", Kind.GAUGE, "1 if the sidecar serves a model, else 0.")
_MODEL: Final = Metric(
    "undertone_model_info", Kind.INFO, "The served model, or the model that was served last.", ("name", "version", "precision")
)
_MISMATCH: Final = Metric(
    "undertone_model_mismatch",
    Kind.GAUGE,
    "1 if the contract of the newest model version does not match its files or the model server, else 0.",
)

_CERTIFICATE: Final = Metric(
    "undertone_tls_certificate_expiry_timestamp_seconds",
    Kind.GAUGE,
    "Time at which the server's certificate expires, in seconds since 1970. Absent without TLS.",
)
_HTTP: Final = Metric(
    "undertone_http_requests_total",
    Kind.COUNTER,
    "Answered requests of the HTTP port by HTTP status. Includes requests that did not become a call.",
    ("status",),
)

CATALOGUE: Final = (
    *SERVER_CATALOGUE,
    *CLIENT_CATALOGUE,
    _PARAGRAPHS,
    _TRUNCATED,
    _CHUNKED,
    _CHUNKS,
    _FLAGGED,
    _LABELS,
    _CACHE,
    _SHARED,
    _REDIS,
    _REDIS_ERRORS,
    _TOKENIZE,
    _QUEUE,
    _BATCHES,
    _BATCH_ITEMS,
    _BATCH_TOKENS,
    _BATCH_PADDING,
    _SENT_TOKENS,
    _SHED,
    _DROPPED,
    _READY,
    _MODEL,
    _MISMATCH,
    _CERTIFICATE,
    _HTTP,
)


class Measure:
    """Turns events into measurements. Keeps the calls in flight of one sidecar."""

    def __init__(self) -> None:
        self._calls = CallMetrics()

    def __call__(self, event: Event) -> Iterator[Measurement]:
        match event:
            case CallStarted() | CallFinished():
                yield from self._calls(event)
            case ParagraphsAnswered():
                yield Measurement(_PARAGRAPHS, event.count, (event.code,))
                if event.truncated:
                    yield Measurement(_TRUNCATED, event.truncated)
                if event.chunked:
                    yield Measurement(_CHUNKED, event.chunked)
                    yield Measurement(_CHUNKS, event.chunks)
                for flag, count in event.flags.items():
                    yield Measurement(_FLAGGED, count, (flag,))
            case LabelsAssigned():
                for label, count in event.counts.items():
                    yield Measurement(_LABELS, count, (str(event.version), label))
            case CacheRead():
                for result, count in (("hit", event.hits), ("miss", event.misses), ("error", event.errors)):
                    if count:
                        yield Measurement(_CACHE, count, (event.tier, result))
            case AnswersShared():
                yield Measurement(_SHARED, event.count)
            case RedisAnswered():
                yield Measurement(_REDIS, event.seconds, ("redis", event.operation))
            case RedisFailed():
                yield Measurement(_REDIS_ERRORS, 1, ("redis", event.operation, event.reason))
            case Tokenized():
                yield Measurement(_TOKENIZE, event.seconds)
            case BatchSent():
                yield from _batch_measurements(event)
            case BatchAnswered():
                pass  # The metrics of the Predict call contain this.
            case ParagraphShed():
                yield Measurement(_SHED, event.paragraphs, (event.lane, event.reason))
            case RequestDropped():
                yield Measurement(_DROPPED, 1, (event.lane, event.reason))
            case ReadinessChanged():
                yield Measurement(_READY, int(event.model is not None))
                if event.model:
                    yield Measurement(_MODEL, 1, (event.model.name, str(event.model.version), event.model.precision))
            case MismatchChanged():
                yield Measurement(_MISMATCH, int(event.mismatch))
            case CertificateLoaded():
                yield Measurement(_CERTIFICATE, event.expires_at)
            case HttpAnswered():
                yield Measurement(_HTTP, 1, (str(event.status),))


def _batch_measurements(event: BatchSent) -> Iterator[Measurement]:
    yield Measurement(_BATCHES, 1, (event.lane, str(event.prefetched).lower()))
    yield Measurement(_BATCH_ITEMS, event.items)
    yield Measurement(_BATCH_TOKENS, event.padded_tokens)
    yield Measurement(_BATCH_PADDING, 1 - event.tokens / event.padded_tokens)
    yield Measurement(_SENT_TOKENS, event.tokens, ("text",))
    yield Measurement(_SENT_TOKENS, event.padded_tokens - event.tokens, ("padding",))
    for seconds in event.queue_seconds:
        yield Measurement(_QUEUE, seconds, (event.lane,))
