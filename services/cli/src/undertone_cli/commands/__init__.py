"""The subcommands of `undertone`. `undertone_cli.__main__` imports each when it is called."""
