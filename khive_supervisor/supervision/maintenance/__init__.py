"""Slow work beside the loop: the store's upkeep, the index, the audit chain."""
