"""The subcommands of `undertone-model`."""
