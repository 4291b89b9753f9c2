"""The memory and knowledge packs."""
