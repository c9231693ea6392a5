"""The tuner: settings of a pod, and the search for the best ones."""
