"""A comparison on the terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from undertone_cli.readers import printable
from undertone_cli.service_comparison.figures import Comparison
from undertone_cli.service_comparison.tables import tables


def show(comparison: Comparison, console: Console) -> None:
    """Print the tables of a comparison."""
    for each in tables(comparison):
        console.print(Text(each.title, "bold"))
        table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
        for number, column in enumerate(each.columns):
            table.add_column(column, justify="left" if number < each.names else "right", overflow="fold")
        for row in each.rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        console.print(table)
        if each.note:
            console.print(Text(each.note, "dim"))
        console.print()
