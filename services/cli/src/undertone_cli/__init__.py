"""The `undertone` command: scores paragraphs with an Undertone service, and reports on them."""
