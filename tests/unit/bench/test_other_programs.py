import os
from pathlib import Path

import pytest
from undertone_bench.other_programs import OtherPrograms

TICKS = os.sysconf("SC_CLK_TCK")


class Machine:
    """A machine whose CPU times and clock a test sets."""

    def __init__(self, root: Path) -> None:
        self._stat = root / "proc/stat"
        self._stat.parent.mkdir()
        self.own = 100.0
        self.now = 0.0
        self.use()

    def use(self, **seconds: float) -> None:
        names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
        columns = " ".join(str(round((1000 + seconds.get(name, 0)) * TICKS)) for name in names)
        self._stat.write_text(f"cpu  {columns}\ncpu0 {columns}\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def others(machine: Machine, tmp_path: Path) -> OtherPrograms:
    return OtherPrograms(tmp_path, lambda: machine.own, lambda: machine.now)


def test_only_time_of_other_programs_and_of_other_virtual_machines_counts(machine: Machine, others: OtherPrograms) -> None:
    machine.use(user=8, system=1, steal=1, idle=15, iowait=5, guest=7)
    machine.own += 6
    machine.now += 20
    assert others.cpus() == pytest.approx((8 + 1 + 1 - 6) / 20)


def test_rounding_of_the_own_time_gives_no_negative_cpus(machine: Machine, others: OtherPrograms) -> None:
    machine.own += 0.01
    machine.now += 1
    assert others.cpus() == 0


def test_this_machine_has_the_columns() -> None:
    assert OtherPrograms().cpus() >= 0
