"""The command as a process."""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from undertone_sidecar.testing import FakeTFServing
from undertone_telemetry import logs

ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("UNDERTONE_")}


@asynccontextmanager
async def started(*arguments: str, code: str | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    """Starts the command, or a Python program that runs it."""
    program = ("-c", code) if code else ("-m", "undertone_sidecar")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *program,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=ENVIRONMENT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_sidecar_serves_without_heavy_imports_and_drains_on_sigterm(base: Path) -> None:
    serving = FakeTFServing("emotions", 1)
    port = await serving.start("localhost:0")
    code = (
        "import sys\nfrom undertone_sidecar.__main__ import main\ncode = main()\n"
        "heavy = {'tensorflow', 'tensorflow_serving', 'torch', 'pandas', 'opentelemetry'}\n"
        "print([name for name in sys.modules if name.split('.')[0] in heavy])\n"
        "sys.exit(code)"
    )
    flags = ("--port=0", "--metrics-port=0", "--log-format=json", "--chunk-overlap=8")
    async with started("--model-dir", str(base), f"--model-server=localhost:{port}", *flags, code=code) as process:
        assert process.stderr is not None
        messages: list[str] = []
        async for line in process.stderr:
            messages.append(json.loads(line)["message"])
            if messages[-1] == "ready":
                process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert await process.stdout.read() == b"[]\n"
        assert await process.wait() == 0
    assert messages[:2] == ["thread plan", "listening"]
    assert messages.count("instruction set") == 1
    assert messages[-2:] == ["draining", "drained"]
    await serving.stop()


async def test_invalid_settings_end_with_exit_code_2(base: Path) -> None:
    async with started("--model-dir", str(base), "--max-queue=0") as process:
        _, error = await process.communicate()
    assert process.returncode == 2
    assert error.decode().startswith("undertone-sidecar: Invalid value for '--max-queue'")


@pytest.mark.parametrize("flag", ["--port", "--http-port"])
async def test_a_port_in_use_ends_with_exit_code_4(base: Path, flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = ("--port=0", "--metrics-port=0", f"{flag}={port}")
        async with started("--model-dir", str(base), "--host=127.0.0.1", *ports) as process:
            _, error = await process.communicate()
    assert process.returncode == 4
    assert f"undertone-sidecar: {flag} {port} cannot be opened" in error.decode()
    assert "Traceback" not in error.decode()


async def test_a_wrong_tokenizer_ends_with_exit_code_3(base: Path) -> None:
    (base / "1" / "tokenizer.json").write_text("{}")
    serving = FakeTFServing("emotions", 1)
    port = await serving.start("localhost:0")
    async with started("--model-dir", str(base), f"--model-server=localhost:{port}", "--port=0", "--metrics-port=0") as process:
        _, error = await process.communicate()
    await serving.stop()
    assert process.returncode == 3
    assert "restore the tokenizer of the export" in error.decode()
    assert "Traceback" not in error.decode()


@pytest.mark.parametrize("format_", ["plain", "json"])
def test_log_lines_contain_their_fields(format_: str, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        logs.configure(format_)
        logging.getLogger("undertone_sidecar.test").info("ready", extra={"version": 3})
    finally:
        root.handlers[:], root.level = before[0], before[1]
    line = capsys.readouterr().err.strip()
    if format_ == "json":
        entry = json.loads(line)
        assert (entry["level"], entry["message"], entry["version"]) == ("INFO", "ready", 3)
    else:
        assert line.endswith("INFO    ready version=3")


async def test_an_unsupported_version_of_grpcio_ends_the_start_with_the_remedy(base: Path) -> None:
    code = (
        "import sys\nimport grpc\ngrpc.__version__ = '1.99.0'\nsys.modules['undertone_sidecar.accept_loop'] = None\n"
        "from undertone_sidecar.__main__ import main\nsys.exit(main())"
    )
    async with started("--model-dir", str(base), "--model-server=localhost:1", "--port=0", code=code) as process:
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert "grpcio 1.99.0 is installed" in errors.decode()
    assert "Traceback" not in errors.decode()
