"""A simulated fleet of pods on a virtual clock. See `fleet`."""
