"""The configuration: dataclasses, discovery, validation, provenance."""

from khive_supervisor.config.budget_table import Budget
from khive_supervisor.config.load import LoadedConfig, from_dict, load, namespace_allowed
from khive_supervisor.config.model import Config
from khive_supervisor.config.roles import Handler, Role, digest
from khive_supervisor.config.search_tables import EmbedderSettings, IndexSettings, SearchSettings
from khive_supervisor.config.service_tables import (
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
