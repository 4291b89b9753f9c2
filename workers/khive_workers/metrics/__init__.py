"""Metrics for Prometheus, and what is made of their declarations."""
