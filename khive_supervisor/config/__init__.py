"""The configuration: dataclasses, discovery, validation, provenance."""
