"""Measurements of what people do with what is stored."""
