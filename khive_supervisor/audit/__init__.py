"""A chain of entries in which nothing can be changed unseen: hashing, checking, heads.

Pure: nothing here knows where entries are kept.
"""
