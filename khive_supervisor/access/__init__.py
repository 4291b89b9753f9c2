"""Who may do what: audiences, confinement, and how the supervisor tells who is asking."""
