"""The `undertone` command: a module for each subcommand, loaded when it is called."""
