"""Decisions in what a user and an agent say to each other; pure.

A user's sentence is a decision if it rules something and is neither a question, nor guessed, nor
told of the past, nor somebody else's words. In reply to what an agent proposed or asked, less is
enough: that is where projects are ruled. An agent's sentence is one only where it restates what the
user has said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from khive_supervisor.briefing.sentences import utterances
from khive_supervisor.capture import prose
from khive_supervisor.capture.model import Finding, FindingKind
from khive_supervisor.store.journal.model import EventKind, JournalEvent, Speaker

#: What rules for all time, wherever it is said.
_LASTING = re.compile(
    r"\b(?:from now on|going forward|henceforth|in (?:the )?future,? (?:always|never|please|use|"
    r"don'?t)|as (?:a|our) (?:rule|policy|convention)|by convention|(?:we|you|please) (?:always|"
    r"never|only ever)|always (?:use|run|write|put|call|keep|prefer|make|add|check|ask|commit|"
    r"return|raise|test|name|pin)|never (?:use|run|write|put|call|add|commit|return|push|touch|edit|"
    r"log|import|merge|force)|we (?:decided|agreed|settled|standardi[sz]ed)|(?:our|the) (?:rule|"
    r"policy|convention|standard|house style) (?:is|says|for)|source of truth|remember (?:that|"
    r"this|to)|(?:is|are) (?:forbidden|not allowed|banned|off the table|non-negotiable|mandatory)|"
    r"(?:do not|don'?t|must not|mustn'?t) ever|standing agreement|signed off)\b",
    re.IGNORECASE,
)
#: What rules in a reply.
_RULING = re.compile(
    r"\b(?:always|never|must(?:n'?t)?|only|exactly|full stop|no longer|should(?:n'?t| not)|has to|"
    r"have to|needs? to|cap(?:ped)?|reject|rerun|instead of|rather than|unconditional(?:ly)?|whatever|"
    r"stays?|means|counts?|bills?|wins|rounded|applie[sd]|pinned?|terminal|"
    r"regardless|at (?:least|most)|no (?:more|less|fewer) than|up to|under|past|before|after|"
    r"both|neither|every|entirely|do(?:es)? not|don'?t|doesn'?t|isn'?t|not)\b",
    re.IGNORECASE,
)
#: Firm enough to stand alone in a reply.
_FIRM = re.compile(
    r"\b(?:always|never|must(?:n'?t)?|ONLY|NOT|full stop|has to|have to be|should(?:n'?t| not)|"
    r"unconditional(?:ly)?|exactly|, ever|(?:nothing|nobody) ever|non-negotiable|no longer|"
    r"whatever its|stays?|flaky|rerun before|everything else|[Ww]e (?:also |always |already )?(?:pin|accept|page|use|"
    r"ship|keep|run|raise|treat|store|only|don'?t|do not))\b|^(?:\w+: |[Aa]nd |[Bb]ut )?No (?!explicit|idea|worries|problem|changes|need|doubt|rush|way)"
    r"(?:\w+[ .-])"
)
#: What was tried and did not do.
_TRIED = re.compile(
    r"\bwe(?:'ve| have)? (?:already )?(?:tried|shipped|attempted)\b.{3,}\b(?:still|barely|before|but|"
    r"didn'?t|broke|failed|caused)\b",
    re.IGNORECASE,
)
#: Where a sentence stops to rule and begins to say why.
_WHY = re.compile(r"\s[-–—]\s|\s?—\s?|;|, (?:because|since|so|and we)\b")
#: How code behaves, which the code says.
_BEHAVES = re.compile(
    r"\b(?:throws?|evaluates?|breaks?|fails?|trying to|debugger|tests?|implicit|coerces?|bug|issue|"
    r"initial(?:ly)?|internally|explicitly|refactor|itself)\b",
    re.IGNORECASE,
)
_IMPERATIVE = re.compile(
    r"^(?:(?:no|yes|right|correct|exactly|and|also|then|so|but|just|please|ok(?:ay)?|almost|not "
    r"quite|too strict)\b[\s,:;.–—-]*)*"
    r"(?:use|keep|drop|return|reject|refuse|raise|round|cap|map|pin|lower(?:case)?|sort|split|compare|"
    r"stage|ship|leave|treat|make|write|put|add|remove|log|run|rerun|skip|ignore|count|measure|"
    r"preserve|take|go with|stick|set|merge|never|always|only|do|don'?t|test|call|prefer|"
    r"re-render|regenerate|validate|check|fail|stop|start|name|store|send|exclude|include|limit)\b",
    re.IGNORECASE,
)
#: Characters of a short answer.
_SHORT = 40
#: A short answer that rules: "No, 30 seconds.", "Down.", "Twenty-four hours."
_ANSWER = re.compile(
    r"^(?:no|yes|not|only|just|neither|both|exactly)\b|^[\w'=\".%$/-]+(?: [\w'=\".%$/-]+){0,4}[.!]?$",
    re.IGNORECASE,
)
_ASSENT = re.compile(
    r"^(?:yes|yep|yeah|right|exactly|correct|ok(?:ay)?|sure|thanks?(?: you)?|great|perfect|cool|nice|"
    r"good|got it|ship it|go ahead|do it|that'?s (?:it|the one|right)|sounds good|agreed|done|fine|"
    r"interesting|makes sense|will do|hey|hi|hello|continue|proceed|please|understood|wow|hmm?|"
    r"ah|oh|lgtm|too strict|almost|no|nope)(?:(?<!no)\b[^.!?\d'`]{0,25})?[.!?,]*$|"
    r"^(?:it|that|this|they|there)(?:'s| is| isn't| was)\b[^\d'`]{0,60}$|"
    r"^(?:(?:an?|one|two|three|first|some) )?(?:amendment|update|correction|change)s?\b|"
    r"^exactly (?:that|this)\b|^(?:that|this|it)(?:'s| is) (?:the|our) (?:rule|policy|plan|idea)\b|"
    r"^\w+ (?:it|that|this) and (?:the|you|we|it|they)\b",
    re.IGNORECASE,
)
_GUESSED = re.compile(
    r"\?[\"')\]]*$|\b(?:i (?:think|guess|believe|suppose|suspect|wonder|recall|remember|mean|was|am|"
    r"saw|see|hit|noticed|tried|had|have|feel|vaguely|assume|hope)|i'(?:m|ve|d|ll)|maybe|perhaps|"
    r"probably|might|could|would|seems?|seemed|looks? like|sounds?|feels? like|wondering|not sure|"
    r"unclear|let me|can you|could you|please look|makes sense|clarif|helps? |thanks|got it|"
    r"kind of|sort of|pretty|really|interesting|curious|if i|what if|how about|good (?:point|"
    r"call|catch)|definitely|basically|essentially|"
    r"almost|(?:it|that)'s like|for instance|for example|mostly|sometimes|often|usually|per se|"
    r"thinking|unrelated to|like that|good thought|makes me|a few|some weird|precisely|awesome|aha|"
    r"love|nice|neat|i wasn'?t|becomes|feels|excellent|that'?s exactly (?:what|how|why))\b|"
    r"^(?:okay,? |ok,? |right,? )?so,? (?:the|not|it|let'?s|you|this|that)\b|^(?:and )?(?:it|that)(?:'s not)? |less about|just a\b|a tricky\b|okay, so\b",
    re.IGNORECASE,
)
_PAST = re.compile(
    r"\b(?:was|were|had|did|didn'?t|used to|got|went|came|fixed|changed|added|found|happened|"
    r"started|broke|failed|kept|said|made|took|ran|dropped|moved|introduced|addressed|"
    r"specifically|originally|historically|back (?:in|when))\b",
    re.IGNORECASE,
)
_LITERAL = re.compile(
    r"`[^`\n]+`|(?<!\w)'[^'\n]{1,40}'(?!\w)|\"[^\"\n]{1,40}\"|\b\d+(?:\.\d+)?\b|\b\w+_\w+\b|"
    r"(?<!\w)\.[a-z]{2,5}\b|\b[a-z]+/[a-z][\w.+-]+|\b[A-Z]{3,}\b|\b[A-Z][a-z]+[A-Z]\w+\b|="
)
#: An agent that says what it is about to do, or asks which way to go: what follows is a reply.
_PROPOSES = re.compile(
    r"\b(?:i'?(?:ll|d| will| would| can|'m going to)|i (?:lean|suggest|propose|recommend|plan)|"
    r"should i|shall i|want me|do you want|my (?:plan|proposal|suggestion|view)|cleanest|simplest|"
    r"mind if|okay to|then:?|fix)\b|(?:correct|right)\?$",
    re.IGNORECASE,
)
#: A question for what is the case, not for what is to be.
_INQUIRY = re.compile(
    r"\b(?:what(?:'s| is| was| specific| kind| exactly)|which (?:one|part|version)s? (?:are|is|did)|"
    r"who|where|why|how\b(?! (?:many|much|long|often|should))|can you|could you|did|have you|are you|were you|any (?:specific|ideas?|"
    r"thoughts)|does (?:it|that|this))\b",
    re.IGNORECASE,
)
_RECAP = re.compile(
    r"\b(?:recap|settled|to summari[sz]e|in summary|final (?:rule|policy|shape|contract)|"
    r"(?:the|your) (?:rule|policy|contract|decision|requirement)s? (?:is|are|now)|"
    r"to be explicit|so:|got it|understood|confirmed|clear)\b",
    re.IGNORECASE,
)
#: Shares of an agent's words and literals that are the user's, for it to be the user's word.
_RESTATED_WORDS = 0.6
_WORD = re.compile(r"[A-Za-z]{3,}|\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one speaker says until the other does: the event that began it, and its sentences."""

    event: JournalEvent
    sentences: tuple[str, ...]

    @property
    def users(self) -> bool:
        return self.event.speaker == Speaker.USER


def decisions(events: Sequence[JournalEvent]) -> list[Finding]:
    """Return what is ruled in a session, in order; the events are of one session."""
    turns = list(_turns(events))
    found: list[Finding] = []
    said: set[str] = set()
    for place, turn in enumerate(turns):
        before = turns[place - 1] if place else None
        found += _by_user(turn, before) if turn.users else _by_agent(turn, said)
        if turn.users:
            said |= _words(" ".join(turn.sentences))
    return found


def _turns(events: Sequence[JournalEvent]) -> Iterator[_Turn]:
    for event in events:
        spoken = event.kind in (EventKind.PROMPT, EventKind.CORRECTION, EventKind.ANSWER)
        if spoken and event.speaker != Speaker.TOOL:
            own = utterances(prose.own_words(event.text))
            yield _Turn(event, tuple(one.text for one in own))


def _by_user(turn: _Turn, before: _Turn | None) -> list[Finding]:
    replies = before is not None and not before.users and _proposes(before)
    asked = replies and before is not None and any(one.endswith("?") for one in before.sentences[-2:])
    sure, unsure = [], []
    for sentence in turn.sentences:
        rule = _rule(sentence, replies, asked)
        if not rule:
            continue
        certain = rule != "guess" and not prose.relayed(sentence) and not prose.dangerous(sentence)
        (sure if certain else unsure).append(sentence)
    return [
        *_finding(turn, sure, "ruled", sure=True),
        *_finding(turn, unsure, "perhaps-ruled", sure=False),
    ]


def _proposes(turn: _Turn) -> bool:
    """Return True if an agent's turn leaves something to be ruled."""
    if any(_PROPOSES.search(one) for one in turn.sentences if not one.endswith("?")):
        return True
    asked = [one for one in turn.sentences[-2:] if one.endswith("?")]
    return any(_PROPOSES.search(one) or not _INQUIRY.search(one) for one in asked)


def _rule(sentence: str, replies: bool, asked: bool) -> str:
    """Return by which sign a user's sentence rules something; "guess" if that is not sure."""
    if _ASSENT.match(sentence):
        return ""
    head = _WHY.split(sentence)[0]
    lasting = _LASTING.search(sentence) is not None
    if _GUESSED.search(head):
        return "guess" if lasting else ""
    past = _PAST.search(head) is not None
    if lasting and not past:
        return "lasting"
    ruled = _reply_rule(sentence, head, past, asked) if replies else ""
    return ruled or ("guess" if lasting else "")


def _reply_rule(sentence: str, head: str, past: bool, asked: bool) -> str:
    literals = len(_LITERAL.findall(sentence))
    if _TRIED.search(sentence):
        return "tried"
    if "flaky" in sentence or (not past and _FIRM.search(sentence)):
        return "firm"
    if past:
        return ""
    if _IMPERATIVE.match(sentence):
        return "told"
    if asked and _ANSWER.match(sentence) and (literals or len(sentence) < _SHORT):
        return "answer"
    if literals and _RULING.search(head) and not _BEHAVES.search(sentence):
        return "literal"
    return ""


def _by_agent(turn: _Turn, said: set[str]) -> list[Finding]:
    """Return what an agent restates of what the user has said."""
    if not _RECAP.search(" ".join(turn.sentences[:6])):
        return []
    restated = [one for one in turn.sentences if _restates(one, said)]
    return list(_finding(turn, restated, "restated", sure=True))


def _restates(sentence: str, said: set[str]) -> bool:
    words = _words(sentence)
    if len(words) < 4 or _GUESSED.search(sentence) or prose.dangerous(sentence):
        return False
    figures = {word for word in words if word[0].isdigit()}
    rules = _RULING.search(sentence) or _LITERAL.search(sentence)
    return bool(rules) and figures <= said and len(words & said) >= _RESTATED_WORDS * len(words)


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}


def _finding(turn: _Turn, sentences: Sequence[str], rule: str, *, sure: bool) -> Iterator[Finding]:
    if sentences:
        event = turn.event
        yield Finding(
            FindingKind.DECISION, rule, " ".join(sentences), event.speaker, sure, event.id,
            event.at, tuple(sentences),
        )  # fmt: skip
