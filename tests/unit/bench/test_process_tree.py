import subprocess
import sys

from undertone_bench.process_tree import TreeUsage

PROGRAM = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(10**8))'])"


def test_memory_and_cpu_time_of_descendants_count() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM]) as process, TreeUsage(process.pid) as usage:
        process.wait()
    assert usage.cpu_seconds > 0
    assert usage.total_peak_bytes >= max(usage.peak_bytes.values()) > 0
    assert set(usage.peak_bytes) <= {"python", "python3"}
