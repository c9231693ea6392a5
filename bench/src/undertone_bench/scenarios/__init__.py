"""What can be measured: a module each, with a function that returns a Report."""
