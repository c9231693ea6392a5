import threading

from undertone_telemetry.periodic import PeriodicThread


def test_the_action_runs_at_the_start_periodically_and_at_the_end() -> None:
    log: list[str] = []
    waits = iter([False, False, True])

    def wait(seconds: float) -> bool:
        log.append(f"{seconds:g} s")
        return next(waits)

    thread = PeriodicThread(lambda: log.append("act"), 15, wait=wait)
    thread.start()
    thread.stop(60)
    assert log == ["act", "15 s", "act", "15 s", "act", "15 s", "act"]


def test_stop_does_not_wait_for_a_hanging_action_longer_than_its_timeout() -> None:
    release, finished = threading.Event(), threading.Event()

    def hang() -> None:
        release.wait(60)
        finished.set()

    thread = PeriodicThread(hang, 15)
    thread.start()
    thread.stop(0)
    assert not finished.is_set()
    release.set()
    assert finished.wait(60)
