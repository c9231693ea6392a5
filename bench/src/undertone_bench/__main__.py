"""`python -m undertone_bench` is the command `undertone-bench`."""

from undertone_telemetry.standard_output import checked_standard_output

from undertone_bench.cli import main as undertone_bench


def main() -> None:
    """Runs the command and exits with its code."""
    with checked_standard_output():
        undertone_bench(prog_name="undertone-bench")


if __name__ == "__main__":
    main()
