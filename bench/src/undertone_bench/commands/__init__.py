"""The subcommands of `undertone-bench`, one module each."""
