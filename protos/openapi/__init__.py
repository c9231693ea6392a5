"""Generates the OpenAPI document of the HTTP port from the descriptors of the public API."""
