"""The sections about clients and jobs."""

from typing import Final

from .panel import Age, Line, Panel, Quantile, Rate, Section, Series, Shape, Share, Source, Sum, Unit

_OURS: Final = {"grpc_service": "undertone.v1.Classifier"}

CLIENTS: Final = Section(
    "Clients: limit, breaker, retries",
    Source.PODS,
    (
        Panel(
            "Limit",
            "Calls that a client allows itself at once, and those that are under way: it finds the limit by itself.",
            Unit.COUNT,
            (
                Line(Sum(Series("undertone_client_limit")), "limit"),
                Line(Sum(Series("grpc_client_in_flight", (), _OURS)), "in flight"),
            ),
        ),
        Panel(
            "Circuit breakers",
            "Clients by the state of their breaker. Open: the client sends nothing but a trial now and then.",
            Unit.COUNT,
            (Line(Sum(Series("undertone_client_breaker_state", ("state",))), "{state}"),),
            Shape.STACK,
        ),
        Panel(
            "Attempts by code",
            "The paper's Table 4, as it happens: each retry is an attempt.",
            Unit.PER_SECOND,
            (Line(Rate(Series("grpc_client_handled_total", ("grpc_code",), _OURS)), "{grpc_code}"),),
            Shape.STACK,
        ),
        Panel(
            "Retries, hedges, shed",
            "Attempts after the first, attempts beside a slow one, and attempts that the breaker held back.",
            Unit.PER_SECOND,
            (
                Line(Rate(Series("undertone_client_retries_total", ("code",))), "retry after {code}"),
                Line(Rate(Series("undertone_client_hedges_total")), "hedges"),
                Line(Rate(Series("undertone_client_shed_total")), "shed"),
                Line(Rate(Series("undertone_client_recovered_total")), "recovered"),
            ),
        ),
        Panel(
            "Wait for a slot",
            "How long attempts waited because the limit was reached.",
            Unit.SECONDS,
            tuple(Line(Quantile(Series("undertone_client_slot_wait_seconds"), at), f"p{at * 100:g}") for at in (0.5, 0.99)),
        ),
        Panel(
            "Latency of attempts",
            "As clients see it, Envoy and the network included.",
            Unit.SECONDS,
            tuple(
                Line(Quantile(Series("grpc_client_handling_seconds", (), _OURS), at), f"p{at * 100:g}")
                for at in (0.5, 0.9, 0.99)
            ),
        ),
        Panel(
            "Paragraphs by code",
            "What became of paragraphs in the end, and those that were given up.",
            Unit.PER_SECOND,
            (
                Line(Rate(Series("undertone_client_paragraphs_total", ("code",))), "{code}"),
                Line(Rate(Series("undertone_client_skipped_paragraphs_total", ("code",))), "skipped: {code}"),
            ),
        ),
    ),
)

JOBS: Final = Section(
    "Jobs",
    Source.JOBS,
    (
        Panel(
            "Paragraphs",
            "The paper's Figure 2, as it happens: paragraphs of each job, a second, by status.",
            Unit.PER_SECOND,
            (Line(Rate(Series("undertone_job_paragraphs_total", ("job", "code"))), "{job} {code}"),),
            Shape.STACK,
        ),
        Panel(
            "Progress",
            "Share of the paragraphs that a job found to do.",
            Unit.SHARE,
            (
                Line(
                    Share(
                        Sum(Series("undertone_job_paragraphs_total", ("job", "code"))),
                        Sum(Series("undertone_job_expected_paragraphs", ("job",))),
                    ),
                    "{job} {code}",
                ),
            ),
            Shape.STACK,
        ),
        Panel(
            "Since the last success",
            "Of each job.",
            Unit.SECONDS,
            (Line(Age(Series("undertone_job_last_success_timestamp_seconds", ("job",))), "{job}"),),
        ),
        Panel(
            "Running",
            "Jobs that run, or were killed while they did.",
            Unit.COUNT,
            (Line(Sum(Series("undertone_job_running", ("job",))), "{job}"),),
        ),
        Panel(
            "Failures", "Runs that failed.", Unit.COUNT, (Line(Sum(Series("undertone_job_failed_total", ("job",))), "{job}"),)
        ),
    ),
)
