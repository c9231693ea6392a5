"""A simulated fleet of pods: on a virtual clock in this process, or behind a socket."""
