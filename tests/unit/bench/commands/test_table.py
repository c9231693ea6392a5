from pathlib import Path

import pyarrow.parquet as pq
from undertone_bench.commands.table import write_source


def test_each_hundredth_text_of_the_second_source_differs(tmp_path: Path) -> None:
    write_source(tmp_path / "before", 1000)
    write_source(tmp_path / "after", 1000, every=100)
    before, after = (pq.read_table(tmp_path / name).to_pydict() for name in ("before", "after"))
    assert before["id"] == after["id"]
    assert len(set(before["text"])) == 1000
    changed = [ident for ident, old, new in zip(before["id"], before["text"], after["text"], strict=True) if old != new]
    assert changed == before["id"][::100]
