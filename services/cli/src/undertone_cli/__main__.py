"""The `undertone` command."""

from undertone_cli.group import undertone


def main() -> None:
    """Run the command and exit with its code."""
    undertone(prog_name="undertone")


if __name__ == "__main__":
    main()
