"""The capture pack: what is learned from clients' sessions, and what of it is to be reviewed."""
