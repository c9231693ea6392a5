import logging

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
