"""Every setting, declared once: its type, default, bounds and meaning.

Validation, `config show`, docs/settings.md and its test all read these declarations. A `Config` is
immutable and complete: code reads `config.store.busy_timeout` and never asks for a default.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from khive_supervisor.config.settings.budget import ModelPrice
from khive_supervisor.config.settings.channels import Channel, values_of
from khive_supervisor.config.settings.confine import Confine
from khive_supervisor.config.settings.http import HttpSettings
from khive_supervisor.config.settings.roles import Role, every_key, value_of
from khive_supervisor.config.settings.search import (
    EmbedderSettings,
    IndexSettings,
    ProfileSettings,
    SearchSettings,
)
from khive_supervisor.config.settings.service import (
    AgentSettings,
    AuditSettings,
    HistorySettings,
    HookSettings,
    JournalSettings,
    LogSettings,
    SecretSettings,
    SessionSettings,
    StoreSettings,
    SupervisorSettings,
    TaskSettings,
)
from khive_supervisor.config.settings.values import Setting, declared
from khive_supervisor.workflows.definitions import Definition


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration; `Config()` is what a user without a file has.

    Attributes:
        password: the team's server's, where it stood in `store.url`: no setting, so never shown.
        plain_store: where this machine's own store would lie, if `store.path` is a replica's.
    """

    store: StoreSettings = field(default_factory=StoreSettings)
    secrets: SecretSettings = field(default_factory=SecretSettings)
    supervisor: SupervisorSettings = field(default_factory=SupervisorSettings)
    session: SessionSettings = field(default_factory=SessionSettings)
    embedder: EmbedderSettings = field(default_factory=EmbedderSettings)
    index: IndexSettings = field(default_factory=IndexSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    profiles: ProfileSettings = field(default_factory=ProfileSettings)
    tasks: TaskSettings = field(default_factory=TaskSettings)
    history: HistorySettings = field(default_factory=HistorySettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    hooks: HookSettings = field(default_factory=HookSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    agents: AgentSettings = field(default_factory=AgentSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    log: LogSettings = field(default_factory=LogSettings)
    roles: tuple[Role, ...] = ()
    confine: tuple[Confine, ...] = ()
    channels: tuple[Channel, ...] = ()
    workflows: tuple[Definition, ...] = ()
    prices: tuple[ModelPrice, ...] = ()
    password: str = field(default="", repr=False)
    plain_store: str = ""

    def role(self, name: str) -> Role | None:
        """Return the role of a name, if there is one."""
        return next((role for role in self.roles if role.role == name), None)


#: The tables of the file and their dataclasses, in the order in which they are documented.
TABLES: dict[str, type[Any]] = {
    "store": StoreSettings,
    "secrets": SecretSettings,
    "supervisor": SupervisorSettings,
    "session": SessionSettings,
    "embedder": EmbedderSettings,
    "index": IndexSettings,
    "search": SearchSettings,
    "profiles": ProfileSettings,
    "tasks": TaskSettings,
    "history": HistorySettings,
    "journal": JournalSettings,
    "hooks": HookSettings,
    "audit": AuditSettings,
    "agents": AgentSettings,
    "http": HttpSettings,
    "log": LogSettings,
}


def settings_of(table: str) -> dict[str, Setting]:
    """Return the declarations of one table by name, in order."""
    return declared(TABLES[table])


def every_setting() -> Iterator[tuple[str, str, Setting]]:
    """(table, name, declaration) of every setting, in order."""
    for table in TABLES:
        for name, setting in settings_of(table).items():
            yield table, name, setting


def every_value(config: Config) -> Iterator[tuple[str, Setting, Any]]:
    """(key, declaration, value) of all that a configuration says: "log.level", "roles[0].role".

    What is secret of channels is not among it.
    """
    for table, name, setting in every_setting():
        yield f"{table}.{name}", setting, getattr(getattr(config, table), name)
    for number, one in enumerate(config.confine):
        for name, setting in declared(Confine).items():
            yield f"confine[{number}].{name}", setting, getattr(one, name)
    for number, channel in enumerate(config.channels):
        for name, setting, value in values_of(channel):
            yield f"channels[{number}].{name}", setting, value
    for number, price in enumerate(config.prices):
        for name, setting in declared(ModelPrice).items():
            yield f"prices[{number}].{name}", setting, getattr(price, name)
    for number, role in enumerate(config.roles):
        for name, setting in every_key():
            yield f"roles[{number}].{name}", setting, value_of(role, name)
