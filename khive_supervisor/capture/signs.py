"""The words by which a sentence is known to rule, to guess, to tell, or to say nothing; pure.

Each was chosen on one half of a labelled sample (benchmarks/capture); the other half judges them.
"""

from __future__ import annotations

import re


def _words(*alternatives: str, flags: re.RegexFlag = re.IGNORECASE) -> re.Pattern[str]:
    """Return a pattern of any of these between the borders of words."""
    return re.compile(rf"\b(?:{'|'.join(alternatives)})\b", flags)


def _any(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE)


#: What rules for all time, wherever it is said.
LASTING = _words(
    "from now on", "going forward", "henceforth",
    "in (?:the )?future,? (?:always|never|please|use|don'?t)",
    "as (?:a|our) (?:rule|policy|convention)", "by convention",
    "(?:we|you|please) (?:always|never|only ever)",
    "always (?:use|run|write|put|call|keep|prefer|make|add|check|ask|commit|return|raise|test)",
    "always (?:name|pin)",
    "never (?:use|run|write|put|call|add|commit|return|push|touch|edit|log|import|merge|force)",
    "we (?:decided|agreed|settled|standardi[sz]ed)",
    "(?:our|the) (?:rule|policy|convention|standard|house style) (?:is|says|for)",
    "source of truth", "remember (?:that|this|to)",
    "(?:is|are) (?:forbidden|not allowed|banned|off the table|non-negotiable|mandatory)",
    "(?:do not|don'?t|must not|mustn'?t) ever", "standing agreement", "signed off",
)  # fmt: skip
#: What rules in a reply, of something that has a name or a figure.
RULING = _words(
    "always", "never", "must(?:n'?t)?", "only", "exactly", "full stop", "no longer",
    "should(?:n'?t| not)", "has to", "have to", "needs? to", "cap(?:ped)?", "reject", "rerun",
    "instead of", "rather than", "unconditional(?:ly)?", "whatever", "stays?", "means", "counts?",
    "bills?", "wins", "rounded", "applie[sd]", "pinned?", "terminal", "regardless",
    "at (?:least|most)", "no (?:more|less|fewer) than", "up to", "under", "past", "before",
    "after", "both", "neither", "every", "entirely", "do(?:es)? not", "don'?t", "doesn'?t",
    "isn'?t", "not",
)  # fmt: skip
#: Firm enough to stand alone in a reply.
FIRM = re.compile(
    r"\b(?:always|never|must(?:n'?t)?|ONLY|NOT|full stop|has to|have to be|should(?:n'?t| not)|"
    r"unconditional(?:ly)?|exactly|, ever|(?:nothing|nobody) ever|non-negotiable|no longer|"
    r"whatever its|stays?|flaky|rerun before|everything else|[Ww]e (?:also |always |already )?"
    r"(?:pin|accept|page|use|ship|keep|run|raise|treat|store|only|don'?t|do not))\b|"
    r"^(?:\w+: |[Aa]nd |[Bb]ut )?No "
    r"(?!explicit|idea|worries|problem|changes|need|doubt|rush|way)(?:\w+[ .-])"
)
#: What was tried and did not do.
TRIED = re.compile(
    r"\bwe(?:'ve| have)? (?:already )?(?:tried|shipped|attempted)\b.{3,}"
    r"\b(?:still|barely|before|but|didn'?t|broke|failed|caused)\b",
    re.IGNORECASE,
)
#: Where a sentence stops to rule and begins to say why.
WHY = re.compile(r"\s[-–—]\s|\s?—\s?|;|, (?:because|since|so|and we)\b")
#: How code behaves, which the code says.
BEHAVES = _words(
    "throws?", "evaluates?", "breaks?", "fails?", "trying to", "debugger", "tests?", "implicit",
    "coerces?", "bug", "issue", "initial(?:ly)?", "internally", "explicitly", "refactor", "itself",
)  # fmt: skip
IMPERATIVE = re.compile(
    r"^(?:(?:no|yes|right|correct|exactly|and|also|then|so|but|just|please|ok(?:ay)?|almost|not "
    r"quite|too strict)\b[\s,:;.–—-]*)*"
    r"(?:use|keep|drop|return|reject|refuse|raise|round|cap|map|pin|lower(?:case)?|sort|split|"
    r"compare|stage|ship|leave|treat|make|write|put|add|remove|log|run|rerun|skip|ignore|count|"
    r"measure|preserve|take|go with|stick|set|merge|never|always|only|do|don'?t|test|call|prefer|"
    r"re-render|regenerate|validate|check|fail|stop|start|name|store|send|exclude|include|limit)\b",
    re.IGNORECASE,
)
#: Characters of a short answer.
SHORT = 40
#: A short answer that rules: "No, 30 seconds.", "Down.", "Twenty-four hours."
ANSWER = _any(
    r"^(?:no|yes|not|only|just|neither|both|exactly)\b",
    r"^[\w'=\".%$/-]+(?: [\w'=\".%$/-]+){0,4}[.!]?$",
)
#: Agreement, thanks, and what points at something that was said: nothing by itself.
ASSENT = _any(
    r"^(?:yes|yep|yeah|right|exactly|correct|ok(?:ay)?|sure|thanks?(?: you)?|great|perfect|cool|"
    r"nice|good|got it|ship it|go ahead|do it|that'?s (?:it|the one|right)|sounds good|agreed|"
    r"done|fine|interesting|makes sense|will do|hey|hi|hello|continue|proceed|please|understood|"
    r"wow|hmm?|ah|oh|lgtm|too strict|almost|no|nope)(?:(?<!no)\b[^.!?\d'`]{0,25})?[.!?,]*$",
    r"^(?:it|that|this|they|there)(?:'s| is| isn't| was)\b[^\d'`]{0,60}$",
    r"^(?:(?:an?|one|two|three|first|some) )?(?:amendment|update|correction|change)s?\b",
    r"^exactly (?:that|this)\b",
    r"^(?:that|this|it)(?:'s| is) (?:the|our) (?:rule|policy|plan|idea)\b",
    r"^\w+ (?:it|that|this) and (?:the|you|we|it|they)\b",
)
#: What somebody asks, believes, feels or has found.
GUESSED = _any(
    r"\?[\"')\]]*$",
    r"\b(?:i (?:think|guess|believe|suppose|suspect|wonder|recall|remember|mean|was|am|saw|see|hit|"
    r"noticed|tried|had|have|feel|vaguely|assume|hope)|i'(?:m|ve|d|ll)|maybe|perhaps|probably|"
    r"might|could|would|seems?|seemed|looks? like|sounds?|feels? like|wondering|not sure|unclear|"
    r"let me|can you|could you|please look|makes sense|clarif|helps? |thanks|got it|kind of|"
    r"sort of|pretty|really|interesting|curious|if i|what if|how about|good (?:point|call|catch)|"
    r"definitely|basically|essentially|almost|(?:it|that)'s like|for instance|for example|mostly|"
    r"sometimes|often|usually|per se|thinking|unrelated to|like that|good thought|makes me|a few|"
    r"some weird|precisely|awesome|aha|love|nice|neat|i wasn'?t|becomes|feels|excellent|"
    r"that'?s exactly (?:what|how|why))\b",
    r"^(?:okay,? |ok,? |right,? )?so,? (?:the|not|it|let'?s|you|this|that)\b",
    r"^(?:and )?(?:it|that)(?:'s not)? ",
    r"less about|just a\b|a tricky\b|okay, so\b",
)
PAST = _words(
    "was", "were", "had", "did", "didn'?t", "used to", "got", "went", "came", "fixed", "changed",
    "added", "found", "happened", "started", "broke", "failed", "kept", "said", "made", "took",
    "ran", "dropped", "moved", "introduced", "addressed", "specifically", "originally",
    "historically", "back (?:in|when)",
)  # fmt: skip
#: Figures, names of code, and what stands between quotation marks.
LITERAL = re.compile(
    r"`[^`\n]+`|(?<!\w)'[^'\n]{1,40}'(?!\w)|\"[^\"\n]{1,40}\"|\b\d+(?:\.\d+)?\b|\b\w+_\w+\b|"
    r"(?<!\w)\.[a-z]{2,5}\b|\b[a-z]+/[a-z][\w.+-]+|\b[A-Z]{3,}\b|\b[A-Z][a-z]+[A-Z]\w+\b|="
)
#: An agent that says what it is about to do, or asks which way to go: what follows is a reply.
PROPOSES = re.compile(
    r"\b(?:i'?(?:ll|d| will| would| can|'m going to)|i (?:lean|suggest|propose|recommend|plan)|"
    r"should i|shall i|want me|do you want|my (?:plan|proposal|suggestion|view)|cleanest|simplest|"
    r"mind if|okay to|then:?|fix)\b|(?:correct|right)\?$",
    re.IGNORECASE,
)
#: A question for what is the case, not for what is to be.
INQUIRY = _words(
    "what(?:'s| is| was| specific| kind| exactly)",
    "which (?:one|part|version)s? (?:are|is|did)", "who", "where", "why",
    r"how\b(?! (?:many|much|long|often|should))", "can you", "could you", "did", "have you",
    "are you", "were you", "any (?:specific|ideas?|thoughts)", "does (?:it|that|this)",
)  # fmt: skip
#: What a user's answer begins with that agrees.
AGREES = re.compile(
    r"^(?:yes|yep|yeah|right|exactly|correct|agreed|sure|perfect|do it|go ahead|ship it)\b",
    re.IGNORECASE,
)
#: What an agent asks, supposes, or is about to do.
PLANNED = _any(
    r"\?[\"')\]]*$",
    r"\b(?:i'(?:ll|d|m|ve)|i (?:will|would|can|could|think|suggest|propose|need)|let me|let's|"
    r"maybe|perhaps|probably|might|could|would|seems?|apologies|next)\b",
)
#: An agent that puts together what was decided.
RECAP = _words(
    "recap", "settled", "amend(?:ing|ed)", "supersed(?:ing|es)", "to summari[sz]e", "in summary",
    "final (?:rule|policy|shape|contract)",
    "(?:the|your) (?:rule|policy|contract|decision|requirement)s? (?:is|are|now)",
    "to be explicit", "so:", "got it", "understood", "confirmed", "clear",
)  # fmt: skip
