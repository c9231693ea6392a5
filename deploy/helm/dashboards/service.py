"""The sections about callers, pods and their model."""

from typing import Final

from .panel import Line, Mean, Panel, Quantile, Rate, Section, Series, Shape, Share, Source, Sum, Unit

_OURS: Final = {"grpc_service": "undertone.v1.Classifier"}
_MODEL_SERVER: Final = {"grpc_service": "tensorflow.serving.PredictionService"}


def _quantiles(metric: str, by: tuple[str, ...] = (), where: dict[str, str] | None = None) -> tuple[Line, ...]:
    suffix = "".join(f" {{{label}}}" for label in by)
    return tuple(Line(Quantile(Series(metric, by, where or {}), at), f"p{at * 100:g}{suffix}") for at in (0.5, 0.9, 0.99))


CALLS: Final = Section(
    "Calls",
    Source.PODS,
    (
        Panel(
            "Paragraphs answered",
            "Paragraphs with a score, a second, of all pods.",
            Unit.PER_SECOND,
            (Line(Rate(Series("undertone_paragraphs_total", where={"code": "OK"})), "answered"),),
            Shape.VALUE,
        ),
        Panel(
            "Failed paragraphs",
            "Share of paragraphs that ended without a score, for whatever reason, the callers' own mistakes included.",
            Unit.SHARE,
            (
                Line(
                    Share(
                        Rate(Series("undertone_paragraphs_total", unlike={"code": "OK"})),
                        Rate(Series("undertone_paragraphs_total")),
                    ),
                    "failed",
                ),
            ),
            Shape.VALUE,
        ),
        Panel(
            "Pods that serve",
            "Pods whose model is warm.",
            Unit.COUNT,
            (Line(Sum(Series("undertone_ready")), "ready"),),
            Shape.VALUE,
        ),
        Panel(
            "Calls in flight",
            "Calls that were read and have no answer yet.",
            Unit.COUNT,
            (Line(Sum(Series("grpc_server_in_flight", ("grpc_method",), _OURS)), "{grpc_method}"),),
            Shape.STACK,
        ),
        Panel(
            "Calls by method",
            "Calls that ended, a second.",
            Unit.PER_SECOND,
            (Line(Rate(Series("grpc_server_handled_total", ("grpc_method",), _OURS)), "{grpc_method}"),),
            Shape.STACK,
        ),
        Panel(
            "Errors by code",
            "Calls that did not end with OK. INVALID_ARGUMENT is the callers' fault, RESOURCE_EXHAUSTED is overload.",
            Unit.PER_SECOND,
            (Line(Rate(Series("grpc_server_handled_total", ("grpc_code",), _OURS, {"grpc_code": "OK"})), "{grpc_code}"),),
            Shape.STACK,
        ),
        Panel(
            "Paragraphs by code",
            "Paragraphs that ended, by their own status: a call of many succeeds even if some of them fail.",
            Unit.PER_SECOND,
            (Line(Rate(Series("undertone_paragraphs_total", ("code",))), "{code}"),),
            Shape.STACK,
        ),
        Panel(
            "Latency",
            "From a request read to its status sent, in the sidecar.",
            Unit.SECONDS,
            _quantiles("grpc_server_handling_seconds", ("grpc_method",), _OURS),
        ),
        Panel(
            "Deadline left at arrival",
            "Of calls that have a deadline. Where it nears the latency, calls will be refused or expire.",
            Unit.SECONDS,
            tuple(
                Line(
                    Quantile(Series("grpc_server_deadline_left_seconds", ("grpc_method",), _OURS), at),
                    f"p{at * 100:g} {{grpc_method}}",
                )
                for at in (0.1, 0.5)
            ),
        ),
        Panel(
            "Size of messages",
            "Mean of requests and responses.",
            Unit.BYTES,
            (
                Line(Mean(Series("grpc_server_request_bytes", ("grpc_method",), _OURS)), "request {grpc_method}"),
                Line(Mean(Series("grpc_server_response_bytes", ("grpc_method",), _OURS)), "response {grpc_method}"),
            ),
        ),
    ),
)

LANES: Final = Section(
    "Queue, lanes and shedding",
    Source.PODS,
    (
        Panel("Queue", "Sequences' wait for the model server.", Unit.SECONDS, _quantiles("undertone_queue_seconds", ("lane",))),
        Panel(
            "Work by lane",
            "Sequences that were sent to the model server, a second.",
            Unit.PER_SECOND,
            (Line(Rate(Series("undertone_queue_seconds_count", ("lane",))), "{lane}"),),
            Shape.STACK,
        ),
        Panel(
            "Shed",
            "Paragraphs that were refused at once: no room, or no time. Of the lane batch that is how jobs are slowed down.",
            Unit.PER_SECOND,
            (Line(Rate(Series("undertone_shed_paragraphs_total", ("lane", "reason"))), "{lane} {reason}"),),
            Shape.STACK,
        ),
        Panel(
            "Dropped",
            "Sequences whose caller left, or whose deadline passed, before the model server was asked.",
            Unit.PER_SECOND,
            (Line(Rate(Series("undertone_dropped_sequences_total", ("lane", "reason"))), "{lane} {reason}"),),
            Shape.STACK,
        ),
        Panel("Tokenizing", "Of a request's paragraphs.", Unit.SECONDS, _quantiles("undertone_tokenize_seconds")),
        Panel(
            "Long paragraphs",
            "Paragraphs that were cut off, or in pieces; and the pieces.",
            Unit.PER_SECOND,
            (
                Line(Rate(Series("undertone_truncated_paragraphs_total")), "truncated"),
                Line(Rate(Series("undertone_chunked_paragraphs_total")), "chunked"),
                Line(Rate(Series("undertone_chunks_total")), "chunks"),
            ),
        ),
    ),
)

BATCHES: Final = Section(
    "Batches and padding",
    Source.PODS,
    (
        Panel(
            "Padding",
            "Share of computed tokens that is padding. At saturation 8 % or less.",
            Unit.SHARE,
            (
                Line(
                    Share(
                        Rate(Series("undertone_tokens_total", where={"kind": "padding"})),
                        Rate(Series("undertone_tokens_total")),
                    ),
                    "padding",
                ),
                Line(Quantile(Series("undertone_batch_padding_ratio"), 0.9), "p90 of batches"),
            ),
        ),
        Panel(
            "Tokens",
            "Computed, a second.",
            Unit.PER_SECOND,
            (Line(Rate(Series("undertone_tokens_total", ("kind",))), "{kind}"),),
            Shape.STACK,
        ),
        Panel(
            "Batches",
            "Sent to the model server, a second; prefetched ones were ready before it was.",
            Unit.PER_SECOND,
            (Line(Rate(Series("undertone_batches_total", ("lane", "prefetched"))), "{lane} prefetched={prefetched}"),),
            Shape.STACK,
        ),
        Panel("Sequences in a batch", "Rows of a call.", Unit.COUNT, _quantiles("undertone_batch_items")),
        Panel("Tokens in a batch", "Padding included; the budget bounds it.", Unit.COUNT, _quantiles("undertone_batch_tokens")),
        Panel(
            "Model server's latency",
            "Predict calls of the sidecars.",
            Unit.SECONDS,
            _quantiles("grpc_client_handling_seconds", (), _MODEL_SERVER),
        ),
        Panel(
            "Model server's answers",
            "Predict calls that ended, by code.",
            Unit.PER_SECOND,
            (Line(Rate(Series("grpc_client_handled_total", ("grpc_code",), _MODEL_SERVER)), "{grpc_code}"),),
            Shape.STACK,
        ),
        Panel(
            "Calls to the model server in flight",
            "One for each pod is all that helps.",
            Unit.COUNT,
            (Line(Sum(Series("grpc_client_in_flight", (), _MODEL_SERVER)), "in flight"),),
        ),
    ),
)

MODEL: Final = Section(
    "Model",
    Source.PODS,
    (
        Panel(
            "Models served",
            "Pods by what they serve. More than one row for longer than a rollout is a fault.",
            Unit.COUNT,
            (Line(Sum(Series("undertone_model_info", ("name", "version", "precision"))), "{name} {version} {precision}"),),
            Shape.TABLE,
        ),
        Panel(
            "Mismatches",
            "Pods that found a newer version and could not serve it.",
            Unit.COUNT,
            (Line(Sum(Series("undertone_model_mismatch")), "pods"),),
            Shape.VALUE,
        ),
        Panel(
            "Lost telemetry",
            "Measurements that an adapter could not pass on. Serving does not notice.",
            Unit.PER_SECOND,
            (Line(Rate(Series("undertone_telemetry_errors_total", ("adapter",))), "{adapter}"),),
        ),
    ),
)
