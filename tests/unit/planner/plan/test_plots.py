from undertone_planner.plan.planner import make_plan
from undertone_planner.plan.plots import as_text

from tests.unit.planner.support.plans import batch_load, setting


def test_the_terminal_shows_the_growth_and_the_backlog() -> None:
    plan = make_plan(setting(), batch_load(2_000_000, 3))
    text = as_text(plan, width=60, height=7)
    assert max(map(len, text.splitlines())) <= 60
    for title in ("ready pods, hours", "paragraphs a second, hours", "backlog, paragraphs, hours"):
        assert title in text
    assert f"{plan.pods}.0┤" in text or f"{plan.pods}┤" in text
    assert "2.0e6┤•" in text, "the backlog starts with all paragraphs"
