"""Every kind of entry that the audit chain can have, declared once.

The table in docs/audit.md, the catalogue, and what channels tell of are made of these.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """What a kind of entry tells of.

    Attributes:
        kind: as entries have it; the part before the dot groups them.
        subject: what it is done to, with the part that differs in capitals.
        meaning: when such an entry is written, as the end of a sentence.
    """

    kind: str
    subject: str
    meaning: str


def _of(group: str, subject: str, **meanings: str) -> tuple[Action, ...]:
    return tuple(Action(f"{group}.{name}", subject, said) for name, said in meanings.items())


ACTIONS: tuple[Action, ...] = (
    *_of(
        "task",
        "task/ID",
        enqueued="a task was given to a role, or what it waited for has come about",
        waiting="a task was given that waits for others, a time or an approval",
        held="what it waits for has failed: it goes on once that was done after all",
        fanned_out="it has become a part for each item of a list",
        leased="a worker took it",
        done="it ended well",
        failed="it ended without a result, or its deadline passed",
        cancelled="it was taken back",
        dead="its worker was lost as often as it may be tried",
        requeued="an attempt failed or was lost, and it waits for another one",
        cancel_asked="whoever works on it was asked to stop",
        retried="it was queued again after it had ended",
        rated="somebody said what its result was worth",
        fenced="a result came too late and was refused",
        failed_over="its candidate could not begin, and another one took its place",
    ),
    *_of(
        "candidate",
        "role/ROLE/candidate/NAME",
        unavailable="it could not work, and gets no task for a while; with the fault",
        available="it works again; `by_hand` if somebody said so",
    ),
    *_of(
        "approval",
        "approval/ID",
        asked="somebody is asked whether a task may be done",
        given="it may",
        refused="it may not",
        expired="nobody has answered in time, or the task has ended",
        unanswered="a role that was asked has said neither yes nor no: a person is to",
    ),
    *_of(
        "workflow",
        "workflow/ID",
        started="a run of a workflow began, with all its tasks",
        done="its last steps are done",
        failed="they are not",
        cancelled="it was cancelled, and nothing of it is left",
        cancel_asked="somebody cancelled it",
        retried="what was not done of it is tried again",
    ),
    *_of(
        "schedule",
        "schedule/ID",
        created="a workflow is to run again and again",
        changed="the configuration says something else of it",
        paused="it begins nothing until somebody resumes it",
        resumed="it goes on",
        removed="it runs no more",
        fired="it was due, and a run began",
        missed="it was due while nothing ran, and that is not made up for",
    ),
    Action(
        "executions.forgotten",
        "store",
        "executions that ended long ago were removed (`history.keep`)",
    ),
    Action("tasks.forgotten", "store", "tasks that ended long ago were removed (`tasks.keep`)"),
    *_of(
        "profile",
        "profile/NAME",
        created="a profile was created",
        bound="it was bound to somebody",
        unbound="a binding was removed",
        lifecycle="it was activated, deactivated or archived",
        reset="it went back to its priors",
        purged="entries that it had learned of were removed for good",
    ),
    *_of(
        "feedback",
        "profile/NAME",
        feedback="somebody said what an entry was worth; with the number of the event",
        auto_feedback="a client said so for its user",
        implicit="a task or a session showed it",
    ),
    *_of(
        "configuration",
        "configuration",
        loaded="a supervisor starts: the digest of its configuration, the settings that differ "
        "from the defaults, the roles",
        reloaded="a reload ended: its result, the keys that changed, what became of each role, "
        "the digest of what is in force",
        refused="a reload changed nothing, since the file is not valid",
        reverted="a role went back after its reload had ended",
    ),
    *_of(
        "role",
        "role/NAME",
        drained="a role takes no more tasks",
        resumed="it serves again",
        replaced="its workers were replaced by hand",
        rolled_back="its new workers failed, and the old ones serve again",
        gave_up="its workers failed too often: it serves no more",
    ),
    *_of(
        "supervisor",
        "supervisor",
        started="it begins to serve",
        stopped="it has ended all that it had started; one that was killed has no such entry",
    ),
    Action("desk.login", "user/NAME", "a browser was let in to the page"),
    Action("index.build", "index", "somebody asked for a new index"),
    *_of(
        "waiting",
        "waiting/NUMBER",
        retried="a write that could not be stored waits again; its verb, who made it when, its "
        "new number",
        dropped="a write that waited for the team's server, or could not be stored, was forgotten",
    ),
    *_of(
        "link",
        "entry/ID",
        added="it was linked with another entry, or with code; the kind and what it leads to",
        ended="such a link ended",
    ),
    *_of(
        "memory",
        "entry/ID",
        remembered="a memory was stored",
        superseded="another one took its place",
        forgotten="it was taken out of every search",
        restored="it was brought back",
        purged="it was removed for good (a document, too: `entry/k7`)",
    ),
    *_of(
        "store",
        "store",
        purged="so many entries were removed for good at once",
        backed_up="a copy was made",
        restored="a copy took the store's place",
    ),
)
#: The same by kind.
BY_KIND = {action.kind: action for action in ACTIONS}


def reference() -> str:
    """Return the kinds as a table in Markdown: the generated part of docs/audit.md."""
    rows = [f"| `{one.kind}` | `{one.subject}` | {one.meaning} |" for one in ACTIONS]
    return "\n".join(["| kind | subject | when |", "|---|---|---|", *rows]) + "\n"
