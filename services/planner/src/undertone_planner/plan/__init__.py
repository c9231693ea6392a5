"""Capacity plans: pods, nodes, hours and cost, from the fleet model and a closed form."""
