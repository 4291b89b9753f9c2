"""Tasks of roles: what they are, how their states change, and which role is to have one.

All of it is arithmetic on plain values; rows are the store's, processes are the supervisor's.
"""
