"""The calls of the synchronous client, and its life in threads, loops and processes."""

import asyncio
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import grpc
import pytest
import undertone_client
from undertone_client import (
    CallState,
    Failure,
    InvalidParagraphError,
    LimitSettings,
    Paragraph,
    Policy,
    Reply,
    Request,
    Score,
    Settings,
    SettingsError,
    Tls,
    UnavailableError,
)
from undertone_client.resilience.events import ClientOpened, Event
from undertone_client.sync import Client
from undertone_client.sync.loop_thread import LoopThread
from undertone_client.testing import EMOTIONS, FakeClassifier, Fault, expected_probabilities

from tests.unit.support.faults import EXHAUSTED, HANG, NO_PATIENCE, UNAVAILABLE, no_sleep

LIMIT_SECONDS = 60


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another thread fulfils."""
    end = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def start(function: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    """Run a function in a thread. Returns the thread and the exception of the function."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, errors


def run_program(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=LIMIT_SECONDS)


def test_the_calls_return_what_the_asyncio_client_returns(client: Client) -> None:
    text = "The letter came too late."
    score = client.classify(Paragraph(text, "1"))
    assert score.probabilities == pytest.approx(expected_probabilities(text), abs=1e-6)
    long = client.classify("word " * 1100, policy=Policy.TRUNCATE)
    assert (score.paragraph.id, long.truncated) == ("1", True)
    first, second = client.classify_batch(iter([text, " "]))
    assert isinstance(first, Score)
    assert isinstance(second, Failure)
    assert client.model().labels == EMOTIONS
    assert client.state().counts.attempts["OK"] == 4


def test_errors_are_those_of_the_asyncio_client(threaded_service: FakeClassifier, client: Client) -> None:
    with pytest.raises(InvalidParagraphError, match="the text is empty"):
        client.classify(" ")
    with pytest.raises(TypeError, match="text must be a str or a Paragraph, not int"):
        client.classify(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="use classify"):
        client.classify_batch("text")
    threaded_service.faults.append(Fault(grpc.StatusCode.DATA_LOSS))
    with pytest.raises(undertone_client.ServiceFaultError, match="scripted"):
        client.classify("text")
    with pytest.raises(SettingsError, match="URL scheme"):
        Client("http://localhost:50051")


def test_calls_are_retried(threaded_service: FakeClassifier) -> None:
    threaded_service.faults.extend([Fault(EXHAUSTED), Fault(UNAVAILABLE)])
    with Client(threaded_service.target, sleep=no_sleep) as client:
        assert client.classify("text").tokens == 3
        assert client.state().counts.retried == 2


def test_a_transport_replaces_grpc() -> None:
    class Down:
        async def send(self, request: Request, call: CallState) -> Reply:
            raise UnavailableError(UNAVAILABLE, "down")

    with Client(transport=Down(), settings=NO_PATIENCE, sleep=no_sleep) as client, pytest.raises(UnavailableError):
        client.model()


def test_the_first_call_opens_a_client(threaded_service: FakeClassifier, tmp_path: Path) -> None:
    opened: list[Event] = []
    client = Client(threaded_service.target, listener=lambda event: opened.append(event))
    assert client.classify("one").tokens == client.classify("two").tokens == 3
    assert sum(isinstance(event, ClientOpened) for event in opened) == 1
    client.close()
    with pytest.raises(SettingsError, match="cannot be read"):
        Client(settings=Settings(tls=Tls(ca_file=tmp_path / "absent.pem"))).classify("text")


def test_a_closed_client_says_so_and_can_be_entered_again(threaded_service: FakeClassifier) -> None:
    client = Client(threaded_service.target)
    with client:
        client.classify("text")
    for call in (lambda: client.classify("text"), client.model, lambda: next(client.score(["text"]))):
        with pytest.raises(RuntimeError, match="the client is closed: create a new one"):
            call()
    client.close()
    with client:
        assert client.classify("text").tokens == 3
        assert client.state().counts.attempts["OK"] == 2


def test_close_ends_the_calls_in_flight(threaded_service: FakeClassifier) -> None:
    threaded_service.faults.extend([HANG, HANG])
    client = Client(threaded_service.target)
    call, call_errors = start(lambda: client.classify("text"))
    stream, stream_errors = start(lambda: list(client.score(["text"] * 100)))
    wait_until(lambda: threaded_service.in_flight == 2)
    client.close()
    call.join()
    stream.join()
    for errors in (call_errors, stream_errors):
        assert [type(error) for error in errors] == [RuntimeError]
        assert "closed while this call was in flight" in str(errors[0])
    wait_until(lambda: threaded_service.in_flight == 0)


def test_threads_share_a_client(threaded_service: FakeClassifier) -> None:
    settings = Settings(batch_items=4, limit=LimitSettings.fixed(3))
    with Client(threaded_service.target, settings=settings) as client, ThreadPoolExecutor(16) as pool:

        def use(thread: int) -> list[str]:
            texts = [f"{thread} {index}" for index in range(40)]
            assert client.classify(texts[0]).paragraph.text == texts[0]
            assert len(client.classify_batch(texts[:3])) == 3
            return [outcome.paragraph.text for outcome in client.score(texts)]

        for thread, texts in enumerate(pool.map(use, range(16))):
            assert texts == [f"{thread} {index}" for index in range(40)]
    assert threaded_service.most_in_flight <= 3


async def test_calls_work_beside_a_running_loop(threaded_service: FakeClassifier) -> None:
    async with undertone_client.Client(threaded_service.target) as asyncio_client:
        with Client(threaded_service.target) as client:
            assert client.classify("text") == await asyncio_client.classify("text")
            assert [outcome.paragraph.text for outcome in client.score(["one", "two"])] == ["one", "two"]
            assert await asyncio.to_thread(client.classify, "text") == client.classify("text")


def test_context_variables_of_the_caller_reach_every_call(threaded_service: FakeClassifier) -> None:
    request = ContextVar("request", default="none")
    seen: list[tuple[str, str]] = []

    @contextmanager
    def record(method: str, paragraphs: int) -> Iterator[None]:
        seen.append((method, request.get()))
        yield

    with Client(threaded_service.target, call_context=record) as client:
        request.set("first")
        client.classify("text")
        request.set("second")
        list(client.score(["text"]))
    assert seen == [("Classify", "first"), ("GetModel", "second"), ("ClassifyBatch", "second")]


def test_a_listener_cannot_call_the_client(threaded_service: FakeClassifier) -> None:
    def call_again(_: Event) -> None:
        client.state()

    client = Client(threaded_service.target, listener=call_again)
    with pytest.raises(RuntimeError, match="must not call the synchronous client"):
        client.classify("text")


def test_ctrl_c_cancels_the_call_and_leaves_the_client_usable(threaded_service: FakeClassifier) -> None:
    threaded_service.faults.extend([HANG, Fault(grpc.StatusCode.OK), HANG])  # for classify, GetModel, and the batch
    program = """
        import sys
        from undertone_client.sync import Client

        client = Client(sys.argv[1])
        for call in (lambda: client.classify("text"), lambda: list(client.score(["text"]))):
            try:
                call()
            except KeyboardInterrupt:
                print("interrupted", flush=True)
        print(client.classify("text").tokens)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), threaded_service.target]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for calls in (1, 3):
            wait_until(lambda: len(threaded_service.calls) == calls and threaded_service.in_flight == 1)  # noqa: B023
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "interrupted\n"
            wait_until(lambda: threaded_service.in_flight == 0 or len(threaded_service.calls) > calls)  # noqa: B023
        output, errors = process.communicate(timeout=LIMIT_SECONDS)
    assert (output, errors, process.returncode) == ("3\n", "", 0)


def test_the_interpreter_exits_while_calls_are_in_flight(threaded_service: FakeClassifier) -> None:
    program = """
        import atexit, itertools, sys, threading
        from undertone_client.sync import Client

        def call(function):
            try:
                function()
            except RuntimeError as error:
                print(error)

        atexit.register(call, lambda: client.classify("text"))  # runs after the client's own
        client = Client(sys.argv[1])
        half = client.score(f"text {index}" for index in range(10**9))
        print(next(half).paragraph.text)
        endless = itertools.repeat("text")
        threading.Thread(target=call, args=(lambda: list(client.score(endless)),), daemon=True).start()
        while not client.state().in_flight:
            pass
    """
    done = run_program(program, threaded_service.target)
    first, *errors = done.stdout.splitlines()
    assert (first, done.stderr, done.returncode) == ("text 0", "", 0)
    assert errors  # the daemon thread may not come to print its own
    assert all("the interpreter exits" in error for error in errors)


@pytest.mark.parametrize(
    ("broken", "error"),
    [("asyncio.new_event_loop", OSError(24, "too many open files")), ("threading.Thread.start", RuntimeError("no threads"))],
)
def test_the_next_call_works_after_the_thread_could_not_be_started(
    monkeypatch: pytest.MonkeyPatch, broken: str, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    async def answer() -> int:
        return 7

    thread = LoopThread()
    with monkeypatch.context() as patch:
        patch.setattr(f"undertone_client.sync.loop_thread.{broken}", fail)
        for _ in range(2):
            with pytest.raises(type(error)):
                thread.run(answer)
    assert thread.run(answer) == 7


def test_a_signal_handler_calls_the_client_while_the_first_call_starts_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async def current_loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    thread, new_event_loop = LoopThread(), asyncio.new_event_loop
    created: list[asyncio.AbstractEventLoop] = []
    seen: list[asyncio.AbstractEventLoop] = []

    def interrupted() -> asyncio.AbstractEventLoop:
        loop = new_event_loop()
        created.append(loop)
        if len(created) == 1:  # the handler runs in the same thread, in the middle of the start
            seen.append(thread.run(current_loop))
        return loop

    monkeypatch.setattr("undertone_client.sync.loop_thread.asyncio.new_event_loop", interrupted)
    seen.append(thread.run(current_loop))
    assert seen == [created[1], created[1]]
    wait_until(created[0].is_closed)


def test_a_forked_process_gets_a_clear_error_or_its_own_loop(threaded_service: FakeClassifier) -> None:
    program = """
        import multiprocessing, sys
        from undertone_client.sync import Client

        def use(client):
            try:
                print(client.classify("text").tokens, flush=True)
            except RuntimeError as error:
                print(error, flush=True)
            client.close()

        def run(method, client):
            process = multiprocessing.get_context(method).Process(target=use, args=(client,))
            process.start()
            process.join()
            assert process.exitcode == 0

        client = Client(sys.argv[1])
        run("fork", client)
        client.classify("text")
        run("fork", client)
        run("fork", Client(sys.argv[1]))
        print(client.classify("text").tokens)
    """
    done = run_program(program, threaded_service.target)
    unused, used, new, parent = done.stdout.splitlines()
    assert (unused, parent, done.returncode) == ("3", "3", 0), done.stderr
    assert used == new
    assert "get_context('spawn')" in used
