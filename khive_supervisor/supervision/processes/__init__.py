"""Supervised processes: started, seen to be alive, restarted, ended."""
