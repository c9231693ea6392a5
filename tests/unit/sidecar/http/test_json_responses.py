"""JSON answers: the same values as json_format's, for any message."""

import json

from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from undertone_protos.v1 import classifier_pb2, contract_pb2
from undertone_sidecar.http.json_responses import encode_json

FLOATS = st.floats(width=32, allow_subnormal=False)  # json_format prints subnormal numbers with more digits
RESULTS = st.builds(
    classifier_pb2.ClassifyBatchResult,
    id=st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    classification=st.none()
    | st.builds(
        classifier_pb2.Classification,
        label_index=st.integers(0, 8),
        probabilities=st.lists(FLOATS, max_size=5),
        label_indexes_above_threshold=st.lists(st.integers(0, 8), max_size=2),
    ),
)
RESPONSES = st.builds(
    classifier_pb2.ClassifyBatchResponse,
    results=st.lists(RESULTS, max_size=4),
    labels=st.lists(st.sampled_from(["joy", 'a"b\\', "é", "雨"])),
    timings=st.none() | st.builds(classifier_pb2.Timings, total_seconds=FLOATS),
    model=st.none() | st.builds(classifier_pb2.ModelInfo, version=st.integers(-(2**63), 2**63 - 1)),
    problem_type=st.sampled_from([0, 1, 2, 9]),
)
CONTRACTS = st.builds(
    contract_pb2.ModelContract,
    version=st.integers(0, 2**62),
    thresholds=st.lists(st.floats(), max_size=3),
    calibration=st.none() | st.builds(contract_pb2.Calibration, temperature=st.floats()),
    created_at=st.none() | st.builds(lambda seconds: {"seconds": seconds}, st.integers(0, 2**33)),
)


@given(RESPONSES | CONTRACTS)
def test_messages_are_encoded_as_by_json_format(message: classifier_pb2.ClassifyBatchResponse) -> None:
    expected = json_format.MessageToJson(message, always_print_fields_with_no_presence=True)
    assert json.loads(encode_json(message)) == json.loads(expected)


def test_probabilities_have_the_shortest_digits() -> None:
    message = classifier_pb2.ClassifyResponse(probabilities=[0.1, 0.25, 1e-10])
    assert b'"probabilities":[0.1,0.25,1e-10]' in encode_json(message)
