"""A small cluster of processes on loopback addresses, which behaves as Kubernetes does.

Pods have addresses of 127.0.0.0/8. DNS is CoreDNS, with or without a cache. Envoy, sidecars and the
times of probes, rollouts and terminations are those of the rendered chart.
"""
