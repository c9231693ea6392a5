import gc
import logging
import sys
import weakref

from undertone_telemetry.log_limit import RepetitionLimit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(message: str, *arguments: object, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord("undertone", level, __file__, 1, message, arguments, None)


def test_repeated_records_are_suppressed_and_counted() -> None:
    clock = Clock()
    limit = RepetitionLimit(3, clock=clock)
    admitted = [limit.admit(record("call %d failed", number)) for number in range(10)]
    assert admitted == [True] * 3 + [False] * 7
    assert list(limit.summaries()) == []
    clock.now = 1.0
    assert list(limit.summaries()) == [("undertone", logging.ERROR, "suppressed 7 more records like: call 0 failed")]
    assert list(limit.summaries()) == []
    assert limit.admit(record("call %d failed", 11))


def test_other_messages_and_levels_are_not_affected() -> None:
    limit = RepetitionLimit(1, clock=Clock())
    assert limit.admit(record("call failed"))
    assert not limit.admit(record("call failed"))
    assert limit.admit(record("call refused"))
    assert limit.admit(record("call failed", level=logging.INFO))


def test_the_memory_for_different_messages_is_bounded() -> None:
    limit = RepetitionLimit(1, clock=Clock())
    for number in range(2000):
        limit.admit(record(f"call {number}"))
        limit.admit(record(f"call {number}"))
    assert len(limit._windows) <= 256


def test_the_memory_is_bounded_while_no_summary_is_read() -> None:
    clock = Clock()
    limit = RepetitionLimit(1, clock=clock)
    for second in range(2000):
        clock.now = float(second)
        for _ in range(2):
            limit.admit(record("call failed"))
    assert len(list(limit.summaries())) <= 256


def test_the_traceback_of_a_suppressed_record_is_not_kept() -> None:
    class Call:
        """Objects of a call, which its traceback keeps."""

    limit = RepetitionLimit(1, clock=Clock())

    def fail() -> "weakref.ref[Call]":
        call = Call()
        try:
            raise ValueError
        except ValueError:
            for _ in range(2):
                failure = record("call failed")
                failure.exc_info = sys.exc_info()
                limit.admit(failure)
        return weakref.ref(call)

    kept = fail()
    gc.collect()
    assert kept() is None
