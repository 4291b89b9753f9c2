"""The child that the zygote forks ahead: it serves who comes next, and nobody depends on it."""

from __future__ import annotations

from support import Installation, RawSession, alive, kill, process_name, spare, wait_until


def worker(khive: Installation) -> int:
    """The one session's worker, once it is registered."""
    (found,) = wait_until(lambda: khive.status()["sessions"], "the session is registered")
    return int(found["pid"])


def test_a_session_gets_the_spare_and_another_one_is_made(khive: Installation) -> None:
    khive.start()
    first = spare(khive)
    with RawSession(khive) as session:
        session.initialize()
        assert worker(khive) == first
        assert process_name(first) == "khive-session"
        assert spare(khive) != first
        assert session.tool("memory_remember", content="A spare serves like any other.")
        assert session.close() == 0
    wait_until(lambda: not alive(first), "it ends with its session")


def test_a_spare_that_was_killed_is_missed_by_nobody(khive: Installation) -> None:
    khive.start()
    for _ in range(3):
        pid = spare(khive)
        kill(pid)
        with RawSession(khive) as session:
            session.initialize()
            assert worker(khive) != pid
            assert session.close() == 0
        wait_until(lambda: not khive.status()["sessions"], "the session is over")


def test_a_spare_of_an_old_configuration_serves_nobody(khive: Installation) -> None:
    khive.configure('[session]\nnamespace = "before"\n')
    khive.start()
    old = spare(khive)
    khive.configure('[session]\nnamespace = "after"\n')
    khive.json("reload")
    wait_until(lambda: not alive(old), "it has ended")
    new = spare(khive)
    with RawSession(khive) as session:
        session.initialize()
        assert worker(khive) == new
        stored = session.tool("memory_remember", content="Which namespace is this?")
        found = session.tool("memory_get", ids=[stored["structuredContent"]["id"]])
        assert found["structuredContent"]["entries"][0]["namespace"] == "after"


def test_a_spare_ends_with_its_zygote(khive: Installation) -> None:
    khive.start()
    pid, zygote = spare(khive), khive.child("zygote")["pid"]
    with RawSession(khive) as session:
        # Workers that were forked meanwhile must not keep the spare's channel open.
        session.initialize()
        pid = spare(khive)
        kill(zygote)
        wait_until(lambda: not alive(pid), "it has ended")
        assert session.tool("memory_remember", content="The session goes on.")
