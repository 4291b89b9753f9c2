"""Profiles: what feedback has taught about ranking. Pure: no engine, no clock, no connection."""
