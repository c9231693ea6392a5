"""`python -m undertone_model` and the `undertone-model` command."""

from undertone_model.cli.group import undertone_model


def main() -> None:
    """Run the command and exit with its code."""
    undertone_model(prog_name="undertone-model")


if __name__ == "__main__":
    main()
