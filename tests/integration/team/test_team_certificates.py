"""A server that is not on this machine has to be who it says, and may ask who its nodes are."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from benchmarks.team.nodes import Node, Postgres, postgres
from khive_supervisor.supervision.team import errand

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")

#: What nodes call the server; its address is given beside it, so that nobody has to be asked.
_NAME = "db.example.test"
#: `cert` has the client say by its certificate which role it is.
_ADMITTED = "hostssl all all 127.0.0.1/32 cert\n"


@dataclass(frozen=True)
class Authority:
    """A certificate authority in a directory of its own; short-lived keys, made by openssl."""

    directory: Path

    def __post_init__(self) -> None:
        self.directory.mkdir()
        self._openssl("req", "-x509", "-days", "2", "-subj", "/CN=an authority", *_NEW, "ca")

    @property
    def root(self) -> str:
        return self._text("ca.crt")

    def issue(self, name: str) -> tuple[str, str]:
        """Return a certificate for a name, and its key."""
        self._openssl("req", "-subj", f"/CN={name}", *_NEW, name)
        extensions = self.directory / "extensions"
        extensions.write_text(f"subjectAltName=DNS:{name}\n", encoding="ascii")
        command = "x509", "-req", "-days", "2", "-CA", "ca.crt", "-CAkey", "ca.key"
        self._openssl(*command, "-extfile", "extensions", "-in", f"{name}.crt", "-out", "signed")
        return self._text("signed"), self._text(f"{name}.key")

    def _text(self, name: str) -> str:
        return (self.directory / name).read_text(encoding="ascii")

    def _openssl(self, *arguments: str) -> None:
        *start, last = arguments
        if start[0] == "req":
            start += ["-keyout", f"{last}.key", "-out"]
            last += ".crt"
        subprocess.run(
            ["openssl", *start, last], cwd=self.directory, check=True, capture_output=True
        )


_NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("a") / "authority")


@pytest.fixture(scope="module")
def secured(authority: Authority) -> Iterator[Postgres]:
    """A server with a certificate, which admits roles by theirs."""
    with postgres() as server:
        server.stop()
        certificate, key = authority.issue(_NAME)
        server.put("server.crt", certificate)
        server.put("server.key", key)
        server.put("root.crt", authority.root)
        server.put("pg_hba.conf", _ADMITTED)
        server.settings = "-c ssl=on -c ssl_ca_file=root.crt"
        server.start()
        yield server


def node(server: Postgres, home: Path, name: str = _NAME) -> Node:
    address = f"{name}:{server.port}/postgres?hostaddr=127.0.0.1"
    return Node(home, f"postgresql://postgres@{address}")


def trust(home: Path, authority: Authority, role: str = "") -> None:
    own = home / ".postgresql"
    own.mkdir()
    (own / "root.crt").write_text(authority.root, encoding="ascii")
    if role:
        certificate, key = authority.issue(role)
        (own / "postgresql.crt").write_text(certificate, encoding="ascii")
        (own / "postgresql.key").write_text(key, encoding="ascii")
        (own / "postgresql.key").chmod(0o600)


def refused(found: Node) -> str:
    with pytest.raises(errand.ErrandFailed) as error:
        errand.run(found.config, "join", variables=found.environment)
    return f"{error.value} {error.value.hint}"


def test_a_node_checks_its_server_and_says_by_a_certificate_who_it_is(
    secured: Postgres, authority: Authority, short: Path
) -> None:
    trust(short, authority, "postgres")
    found = node(secured, short)
    errand.run(found.config, "join", variables=found.environment)
    found.start()
    try:
        with found.open() as store:
            store.roles.set([])
        own = short / ".postgresql"
        with psycopg.connect(
            found.url, sslrootcert=str(own / "root.crt"), sslcert=str(own / "postgresql.crt"),
            sslkey=str(own / "postgresql.key"), sslmode="verify-full",
        ) as connection:  # fmt: skip
            rows = connection.execute(
                "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                "WHERE application_name LIKE 'khive%'"
            ).fetchall()
        assert rows == [(True,)]
    finally:
        found.stop()


def test_a_server_of_an_authority_that_nobody_knows_is_refused(
    secured: Postgres, tmp_path: Path, short: Path
) -> None:
    trust(short, Authority(tmp_path / "another"), "postgres")
    text = refused(node(secured, short))
    assert "certificate verify failed" in text
    assert "sslrootcert=FILE" in text


def test_a_server_that_is_called_otherwise_is_refused(
    secured: Postgres, authority: Authority, short: Path
) -> None:
    trust(short, authority, "postgres")
    text = refused(node(secured, short, "other.example.test"))
    assert "does not match host name" in text


def test_who_has_no_certificate_learns_what_the_server_asks_for(
    secured: Postgres, authority: Authority, short: Path
) -> None:
    trust(short, authority)
    assert "certificate" in refused(node(secured, short))


def test_a_server_without_encryption_is_refused_by_name_and_taken_on_this_machine(
    server: Postgres, authority: Authority, short: Path
) -> None:
    trust(short, authority)
    assert "does not support SSL" in refused(node(server, short))
