import os
import socket
import subprocess
import sys

import pytest
from undertone_bench import processes
from undertone_bench.errors import BenchError
from undertone_bench.processes import CpuMeter, ProcessUsage, child_processes, first_cpus, free_ports, peak_resident_bytes, stop


def test_usage_of_this_process_grows() -> None:
    before = ProcessUsage.read(os.getpid())
    assert before.resident_bytes > 0
    assert peak_resident_bytes(os.getpid()) >= before.resident_bytes // 2
    meter = CpuMeter({"tests": os.getpid()})
    while not meter.read()["tests"]:
        sum(range(100_000))
    assert ProcessUsage.read(os.getpid()).cpu_seconds > before.cpu_seconds


def test_children_are_listed_until_they_are_stopped() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    assert child.pid in child_processes(os.getpid())
    stop(child)
    assert child.returncode < 0
    assert child.pid not in child_processes(os.getpid())


def test_free_ports_are_distinct_and_can_be_bound() -> None:
    ports = free_ports(3)
    assert len(set(ports)) == 3
    assert max(ports) < 32768, "Linux may give the port to an outgoing connection"
    for port in ports:
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_too_few_free_ports_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        monkeypatch.setattr(processes, "PORTS", range(port, port + 1))
        with pytest.raises(BenchError, match=f"1 free ports are needed, but only 0 of {port} to {port} are free"):
            free_ports(1)


def test_more_cpus_than_this_process_has_are_reported() -> None:
    cpus = os.sched_getaffinity(0)
    assert set(first_cpus(len(cpus))) == cpus
    with pytest.raises(BenchError, match=rf"may use only {len(cpus)}: lower --cpus or --pods"):
        first_cpus(len(cpus) + 1)
