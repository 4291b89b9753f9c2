"""The batch pack: several calls at once, all of them or none."""
