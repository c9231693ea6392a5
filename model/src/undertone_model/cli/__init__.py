"""The `undertone-model` command, a module for each of its commands."""
