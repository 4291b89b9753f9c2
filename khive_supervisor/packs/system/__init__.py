"""The system and index packs."""
