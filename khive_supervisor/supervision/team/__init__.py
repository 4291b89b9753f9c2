"""A team's server, as the supervisor sees it: the child that speaks with it, and joining."""
