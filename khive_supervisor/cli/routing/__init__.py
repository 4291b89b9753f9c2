"""Commands on the candidates of roles: what is known of each, and whether it is available."""
