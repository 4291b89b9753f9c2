"""Attacks, kills, stops, nonsense."""
