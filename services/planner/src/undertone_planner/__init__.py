"""Capacity planning for an Undertone service, on a simulated fleet."""
