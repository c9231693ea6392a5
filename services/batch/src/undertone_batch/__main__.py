"""The `undertone-batch` command. spark-submit takes this file as its application."""

from undertone_telemetry.options import name_variables
from undertone_telemetry.standard_output import checked_standard_output

from undertone_batch.command import undertone_batch

name_variables(undertone_batch, "UNDERTONE_BATCH_")


def main() -> None:
    """Runs the command and exits with its code."""
    with checked_standard_output():
        undertone_batch(prog_name="undertone-batch")


if __name__ == "__main__":
    main()
