"""Channels: what arrives, whatever fails."""
