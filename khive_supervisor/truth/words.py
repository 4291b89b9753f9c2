"""The words that the rules know: short lists of English; pure."""

from __future__ import annotations

#: Words without a meaning of their own.
_FUNCTION_WORDS = """
    a about all also an and any are as at be because been both but by can could did do does each
    else every for from had has have he her here his how i if in into is it its just may me
    might more most must my of on only or other our out over own shall she should since so some
    such than that the their them then there these they this those through to too under until up
    upon us very was we were what when where which while who whose why will with within would
    you your get got let made make via per am being
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
#: What makes a statement say the opposite.
_NEGATIONS = """
    not no never none without cannot neither nor forbidden avoid don't doesn't isn't aren't
    won't can't shouldn't mustn't didn't wasn't weren't needn't stop unsupported stopped
"""
NEGATIONS = frozenset(_NEGATIONS.split())
#: Words that say that something is different from before; they are no part of what is said.
_CHANGES = """
    now today currently meanwhile nowadays anymore longer instead rather already still yet again
    switched switch moved move migrated migrate changed change replaced replace raised raise
    lowered lower increased reduced bumped bump upgraded upgrade downgraded updated update new
    old postponed renamed rename dropped drop gone deprecated removed retired obsolete outdated
    became correction corrected amended amendment amending amend superseding supersedes superseded
    supersede revised reverses reversed overrides decided decision policy rule note henceforth
    onwards previously formerly later today's january february march april june july august
    september october november december
"""
CHANGES = frozenset(_CHANGES.split())
#: Of these, what says by itself that a thing is no longer as it was.
_EVENTS = """
    now nowadays anymore switched switch moved move migrated migrate changed change replaced replace
    raised raise lowered lower increased reduced bumped bump upgraded upgrade downgraded postponed
    renamed rename correction corrected became henceforth onwards
"""
EVENTS = frozenset(_EVENTS.split())
#: Of these, what may as well be a thing, after an article: "holds the switch".
_CHANGES_OR_THINGS = "switch move change update upgrade drop bump raise"
CHANGES_OR_THINGS = frozenset(_CHANGES_OR_THINGS.split())
ARTICLES = frozenset(("a", "an", "the", "each", "every", "this", "that", "one"))
#: Verbs and the like, so common that alone they are no common subject, and no difference either.
_WEAK = """
    use used run keep kept need want like prefer live store read write go come take give put set
    require require work handle hold support allow call name plan follow serve provide mean time
    using please always usually generally done begin start end like good well same ask
"""
WEAK = frozenset(_WEAK.split())
#: Nouns that are in every other statement: little of a common subject, yet a difference.
_COMMON = """
    user project default way thing part case team value number place
    line file information documentation command option see page version
"""
COMMON = frozenset(_COMMON.split())
#: What amounts are counted in.
_UNITS = """
    ms s sec second minute min hour h day week month year b kb mb gb tb kib mib gib byte percent
    time times utc am pm cent px pixel thread requests
"""
UNITS = frozenset(_UNITS.split())
_DAYS = """
    monday tuesday wednesday thursday friday saturday sunday
"""
DAYS = frozenset(_DAYS.split())
_MONTHS = """
    january february march april june july august september october november december
"""
MONTHS = frozenset(_MONTHS.split())
#: What a change begins with: "as of June", "as of autumn".
SEASONS = (*sorted(MONTHS), "spring", "summer", "autumn", "winter")
_NUMBER_WORDS = "zero one two three four five six seven eight nine ten eleven twelve"
NUMBER_WORDS = {word: str(number) for number, word in enumerate(_NUMBER_WORDS.split())}
#: Forms that no ending tells, and nouns that look like forms.
_IRREGULAR = """
    sent/send kept/keep wrote/write written/write built/build held/hold took/take taken/take
    ran/run chose/choose chosen/choose went/go gone/go lay/lie found/find left/leave led/lead
    planning/planning meeting/meeting building/building testing/testing meetings/meeting
"""
IRREGULAR = dict(pair.split("/") for pair in _IRREGULAR.split())
#: Pairs of which one is the opposite of the other.
_OPPOSITES = """
    enabled/disabled enable/disable open/closed on/off fixed/unfixed fixed/broken
    synchronous/asynchronous sync/async opt-in/opt-out long/short allowed/forbidden
    required/optional public/private internal/external true/false always/never before/after
    manual/automatic manually/automatically stateless/stateful mutable/immutable safe/unsafe
    switched-on/switched-off single/double light/dark supported/unsupported ascending/descending
    strict/lenient first/last min/max minimum/maximum include/exclude included/excluded
    static/dynamic local/remote blocking/non-blocking passing/failing stable/unstable
    done/pending slow/fast tabs/spaces lowercase/uppercase singular/plural merge/rebase
    left/right up/down enabled/switched-off disabled/switched-on active/inactive
    available/unavailable
    mandatory/optional required/voluntary seconds/milliseconds on-premises/cloud monthly/weekly
    daily/weekly hourly/daily even/odd signed/unsigned eager/lazy push/pull sum/average
"""
OPPOSITES = tuple(tuple(pair.split("/")) for pair in _OPPOSITES.split())
