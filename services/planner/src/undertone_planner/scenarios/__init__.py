"""Scenarios on a simulated fleet, each with its settings and its result."""
