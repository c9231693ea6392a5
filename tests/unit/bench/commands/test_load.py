from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from undertone_bench.cli import main
from undertone_bench.processes import free_ports
from undertone_sidecar.testing import write_version


def test_a_service_that_answers_no_call_is_an_error(tmp_path: Path) -> None:
    write_version(tmp_path / "emotions", 1)
    (tmp_path / "texts.txt").write_text("the rain had stopped\n\nshe laughed")
    (port,) = free_ports(1)
    options = {"model": tmp_path / "emotions", "texts": tmp_path / "texts.txt", "output": tmp_path / "results"}
    load = ["load", f"--target=127.0.0.1:{port}", "--concurrency=1", "--paragraphs=2"]
    failed = CliRunner().invoke(main, [*load, *(f"--{name}={value}" for name, value in options.items())])
    assert failed.exit_code == 1
    assert failed.output == f"Error: no call to 127.0.0.1:{port} was answered: check the service, or name another --target\n"
    assert not list((tmp_path / "results").iterdir())


@pytest.mark.parametrize("load", [["--concurrency=1", "--paragraphs=2"], ["--rate=100", "--seconds=0.1"]])
def test_a_pod_of_the_measurement_that_answers_no_call_is_an_error(
    load: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_version(tmp_path / "emotions", 1)
    (tmp_path / "texts.txt").write_text("the rain had stopped\n\nshe laughed")
    (port,) = free_ports(1)
    pod = SimpleNamespace(target=f"127.0.0.1:{port}")
    monkeypatch.setattr("undertone_bench.commands.load.running_pod", lambda *_: nullcontext(pod))
    options = {"model": tmp_path / "emotions", "texts": tmp_path / "texts.txt", "output": tmp_path / "results"}
    failed = CliRunner().invoke(main, ["load", *load, *(f"--{name}={value}" for name, value in options.items())])
    assert failed.exit_code == 1
    remedy = f"reduce {load[0].partition('=')[0]}, or check --sidecar-flag"
    assert failed.output == f"Error: no call to {pod.target} was answered: {remedy}\n"
