"""The `undertone-batch` command; also the file that is given to spark-submit."""

from undertone_batch.command import undertone_batch


def main() -> None:
    """Run the command and exit with its code."""
    undertone_batch(prog_name="undertone-batch")


if __name__ == "__main__":
    main()
