"""The configuration: dataclasses, discovery, validation, provenance."""

from khive_supervisor.config.load import LoadedConfig, from_dict, load, namespace_allowed
from khive_supervisor.config.model import (
    Config,
    EmbedderSettings,
    IndexSettings,
    LogSettings,
    SearchSettings,
    SessionSettings,
    StoreSettings,
    SupervisorSettings,
)
from khive_supervisor.config.show import as_dict, as_toml, fingerprint

__all__ = [
    "Config",
    "EmbedderSettings",
    "IndexSettings",
    "LoadedConfig",
    "LogSettings",
    "SearchSettings",
    "SessionSettings",
    "StoreSettings",
    "SupervisorSettings",
    "as_dict",
    "as_toml",
    "fingerprint",
    "from_dict",
    "load",
    "namespace_allowed",
]
