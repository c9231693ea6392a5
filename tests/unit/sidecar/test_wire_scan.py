import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.wire_scan import FieldScanner, MalformedError, TooManyFieldsError

PARAGRAPHS = st.lists(st.builds(classifier_pb2.Paragraph, text=st.text(max_size=300), id=st.text(max_size=20)), max_size=20)


@given(PARAGRAPHS, st.integers(0, 4))
def test_the_scan_finds_the_fields_that_protobuf_decodes(paragraphs: list[classifier_pb2.Paragraph], policy: int) -> None:
    batch = classifier_pb2.ClassifyBatchRequest(paragraphs=paragraphs, overlength_policy=policy)  # type: ignore[arg-type]
    data = batch.SerializeToString()
    scanner = FieldScanner(100)
    fields = scanner.scan(data, 0, len(data))
    assert [(number, data[start:stop]) for number, start, stop in fields] == [(1, p.SerializeToString()) for p in paragraphs]
    for paragraph, (_, start, stop) in zip(paragraphs, fields, strict=True):
        texts = [data[first:last].decode() for number, first, last in scanner.scan(data, start, stop) if number == 1]
        assert texts == ([paragraph.text] if paragraph.text else [])


@given(st.binary(max_size=200))
def test_any_bytes_are_scanned_or_refused(data: bytes) -> None:
    try:
        fields = FieldScanner(50).scan(data, 0, len(data))
    except (MalformedError, TooManyFieldsError):
        return
    assert all(start <= stop <= len(data) for _, start, stop in fields)


def test_the_scan_stops_at_the_maximum_of_all_scans_together() -> None:
    scanner = FieldScanner(3)
    assert len(scanner.scan(b"\x0a\x00" * 2, 0, 4)) == 2
    assert scanner.scan(b"\x10\x01", 0, 2) == []
    with pytest.raises(TooManyFieldsError):
        scanner.scan(b"\x10\x01", 0, 2)


@pytest.mark.parametrize("data", [b"\x0a\x05a", b"\x0a", b"\x0f\x00", b"\xff" * 11, b"\x09\x00", b"\x0d\x00"])
def test_fields_beyond_the_message_and_unknown_wire_types_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        FieldScanner(10).scan(data, 0, len(data))
