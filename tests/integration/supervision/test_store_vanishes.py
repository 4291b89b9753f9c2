"""The database is deleted while sessions use it: said by everybody, saved, and put back."""

from __future__ import annotations

import os
from pathlib import Path

from support import Installation, RawSession, wait_until


def test_a_deleted_database_takes_nothing_and_can_be_saved_and_put_back(
    khive: Installation, tmp_path: Path
) -> None:
    khive.configure('[embedder]\nkind = "none"\n')
    khive.start()
    with RawSession(khive) as session:
        session.initialize()
        assert not session.tool("memory_remember", content="Kept in the file.").get("isError")
        khive.store.unlink()
        refused = session.tool("memory_remember", content="Into nowhere.")
        assert refused["isError"]
        assert "is gone" in refused["content"][0]["text"]
        told = wait_until(lambda: khive.status()["store_problem"], "the supervisor has noticed")
        assert "is gone" in told
        assert khive.status()["state"] == "degraded"
        saved = tmp_path / "saved.db"
        khive.run("rescue", str(saved))
        os.replace(saved, khive.store)
        wait_until(lambda: khive.status()["store_note"], "the supervisor has noticed again")
        found = session.tool("memory_recall", query="kept")["structuredContent"]["results"]
        assert [hit["content"] for hit in found] == ["Kept in the file."]
        assert session.tool("memory_remember", content="More.")["isError"], "refused once"
        assert not session.tool("memory_remember", content="More.").get("isError")
        assert session.close() == 0
