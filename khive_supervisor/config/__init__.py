"""The configuration: dataclasses, discovery, validation, provenance."""

from khive_supervisor.config.load import LoadedConfig, from_dict, load, namespace_allowed
from khive_supervisor.config.settings.budget import Budget
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.roles import Handler, Role, digest
from khive_supervisor.config.settings.search import EmbedderSettings, IndexSettings, SearchSettings
from khive_supervisor.config.settings.service import (
    LogSettings,
    SessionSettings,
    StoreSettings,
    SupervisorSettings,
)
from khive_supervisor.config.show import as_dict, as_toml, fingerprint

__all__ = [
    "Budget",
    "Config",
    "EmbedderSettings",
    "Handler",
    "IndexSettings",
    "LoadedConfig",
    "LogSettings",
    "Role",
    "SearchSettings",
    "SessionSettings",
    "StoreSettings",
    "SupervisorSettings",
    "as_dict",
    "as_toml",
    "digest",
    "fingerprint",
    "from_dict",
    "load",
    "namespace_allowed",
]
