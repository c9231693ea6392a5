from undertone_telemetry.rpc import CLIENT_CATALOGUE, SERVER_CATALOGUE, CallFinished, CallMetrics, CallStarted, Side

METHOD = "/tales.Teller/Tell"


def test_metrics_have_the_names_that_common_grpc_dashboards_expect() -> None:
    suffixes = ("started_total", "handled_total", "handling_seconds", "in_flight", "request_bytes", "response_bytes")
    assert [metric.name for metric in SERVER_CATALOGUE] == [
        *(f"grpc_server_{suffix}" for suffix in suffixes),
        "grpc_server_deadline_left_seconds",
    ]
    assert [metric.name for metric in CLIENT_CATALOGUE] == [f"grpc_client_{suffix}" for suffix in suffixes]


def test_measurements_of_calls() -> None:
    measure = CallMetrics()
    events = (
        CallStarted(Side.SERVER, METHOD, 6, 2.5),
        CallStarted(Side.SERVER, METHOD, 7),
        CallFinished(Side.SERVER, METHOD, "OK", 0.25, 14),
        CallFinished(Side.SERVER, METHOD, "NOT_FOUND", 0.5),
    )
    labels = ("unary", "tales.Teller", "Tell")
    measurements = [[(m.metric.name, m.value, m.labels) for m in measure(event)] for event in events]
    assert measurements == [
        [
            ("grpc_server_started_total", 1, labels),
            ("grpc_server_request_bytes", 6, labels),
            ("grpc_server_deadline_left_seconds", 2.5, labels),
            ("grpc_server_in_flight", 1, labels),
        ],
        [
            ("grpc_server_started_total", 1, labels),
            ("grpc_server_request_bytes", 7, labels),
            ("grpc_server_in_flight", 2, labels),
        ],
        [
            ("grpc_server_handled_total", 1, (*labels, "OK")),
            ("grpc_server_handling_seconds", 0.25, labels),
            ("grpc_server_response_bytes", 14, labels),
            ("grpc_server_in_flight", 1, labels),
        ],
        [
            ("grpc_server_handled_total", 1, (*labels, "NOT_FOUND")),
            ("grpc_server_handling_seconds", 0.5, labels),
            ("grpc_server_in_flight", 0, labels),
        ],
    ]


def test_each_side_counts_its_own_calls_in_flight() -> None:
    measure = CallMetrics()
    list(measure(CallStarted(Side.SERVER, METHOD, 6)))
    last = list(measure(CallStarted(Side.CLIENT, METHOD, 6, 2.0)))[-1]
    assert (last.metric.name, last.value) == ("grpc_client_in_flight", 1)
