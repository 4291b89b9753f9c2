"""The catalogue: all that others may rely on, as one document made of the declarations."""
