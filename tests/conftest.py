"""Setup for all tests."""

import signal

# A shell starts background jobs with SIGINT ignored, and the tests' child processes would inherit
# this.
signal.signal(signal.SIGINT, signal.default_int_handler)
