"""Forms that are secrets by themselves, wherever they stand; pure.

Each has words of which one must be in the text, so that most texts are searched for words only, and
a pattern whose group `secret`, or else the whole match, is the secret.
"""

# ruff: noqa: E501 - a row is a line
from __future__ import annotations

import functools
import re
from dataclasses import dataclass

_WORD = r"[A-Za-z0-9]"
_URL_SAFE = r"[A-Za-z0-9_-]"
#: Nothing of the same word before a form, nor after it.
_BEGIN, _END = r"(?<![A-Za-z0-9])", r"(?![A-Za-z0-9])"


@dataclass(frozen=True, slots=True)
class Form:
    """One form. `exact`: its prefix and length are proof enough; else the value is judged, too."""

    rule: str
    words: tuple[str, ...]
    text: str
    exact: bool = True

    @property
    def pattern(self) -> re.Pattern[str]:
        """Return the pattern, compiled at its first use: most processes need few of them."""
        return _compiled(self.text)


@functools.cache
def _compiled(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _form(rule: str, words: str, pattern: str, *, exact: bool = True) -> Form:
    return Form(rule, tuple(words.split()), pattern, exact)


def _prefixed(rule: str, words: str, pattern: str) -> Form:
    """Return a form that is a word of its own."""
    return _form(rule, words, f"{_BEGIN}(?:{pattern}){_END}")


FORMS: tuple[Form, ...] = (
    _form(
        "private-key",
        "PRIVATE",
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?P<secret>"
        r"(?:(?!-----BEGIN)[\s\S])*?)(?:-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    ),
    _form("putty-key", "Private-Lines", r"Private-Lines: ?\d+\s+(?P<secret>[A-Za-z0-9+/=\s]{40,})"),
    _prefixed("age-key", "AGE-SECRET-KEY-", r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    _prefixed("aws-access-key", "AKIA ASIA ABIA ACCA", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"),
    _form(
        "aws-secret-key",
        "ecret ECRET",
        r"(?i:aws[ _.-]?secret[ _.-]?(?:access[ _.-]?)?key|secret[ _-]?access[ _-]?key)[\"']?\s{0,3}"
        r"(?:=>|[:=]|\bis\b)?\s{0,3}[\"']?(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])",
    ),
    _prefixed("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36,255}"),
    _prefixed("github-token", "github_pat_", rf"github_pat_{_WORD}{{22}}_{_WORD}{{59}}"),
    _prefixed(
        "gitlab-token",
        "glpat- gldt- glft- glsoat- glrt- glcbt- glptt- glagent- gloas- glimt- glffct-",
        rf"gl(?:pat|dt|ft|soat|rt|cbt|ptt|agent|oas|imt|ffct)-{_URL_SAFE}{{20,}}",
    ),
    _prefixed("slack-token", "xox xapp-", r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}"),
    _prefixed("slack-token", "xapp-", r"xapp-\d-[A-Za-z0-9-]{20,}"),
    _form(
        "slack-webhook",
        "hooks.slack.com",
        rf"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>{_WORD}+/{_WORD}+/[\w/-]+)",
    ),
    _form(
        "discord-webhook",
        "/webhooks/",
        rf"discord(?:app)?\.com/api/webhooks/(?P<secret>\d+/{_URL_SAFE}{{40,}})",
    ),
    _form(
        "teams-webhook",
        "webhook.office.com",
        r"webhook\.office\.com/webhookb2/(?P<secret>[\w@/-]{60,})",
    ),
    _prefixed("stripe-key", "sk_live_ rk_live_ sk_test_ rk_test_", r"[sr]k_(?:live|test)_\w{16,}"),
    _prefixed("stripe-webhook-secret", "whsec_", r"whsec_[A-Za-z0-9+/=]{24,}"),
    _prefixed("square-token", "sq0atp- sq0csp- EAAA", r"sq0(?:atp|csp)-[\w-]{22,}|EAAA[\w-]{60}"),
    _prefixed("anthropic-key", "sk-ant-", rf"sk-ant-{_URL_SAFE}{{20,}}"),
    _prefixed(
        "openai-key",
        "sk-proj- sk-svcacct- sk-admin- sk-None T3BlbkFJ",
        rf"sk-(?:proj|svcacct|admin|None)-{_URL_SAFE}{{20,}}|sk-{_URL_SAFE}{{20,200}}T3BlbkFJ{_WORD}{{20,}}",
    ),
    _prefixed("api-key", "sk-", rf"sk-(?:or-v1-|lf-)?{_WORD}{{32,}}"),
    _prefixed("huggingface-token", "hf_ api_org_", rf"(?:hf|api_org)_{_WORD}{{34,}}"),
    _prefixed("groq-key", "gsk_", rf"gsk_{_WORD}{{40,}}"),
    _prefixed("xai-key", "xai-", rf"xai-{_WORD}{{40,}}"),
    _prefixed("perplexity-key", "pplx-", rf"pplx-{_WORD}{{40,}}"),
    _prefixed("replicate-token", "r8_", rf"r8_{_WORD}{{37}}"),
    _prefixed("google-api-key", "AIza", rf"AIza{_URL_SAFE}{{35}}"),
    _prefixed("google-client-secret", "GOCSPX-", rf"GOCSPX-{_URL_SAFE}{{20,}}"),
    _prefixed("google-token", "ya29.", rf"ya29\.{_URL_SAFE}{{30,}}"),
    _form("google-refresh-token", "1//0", rf"(?<![\w/:])1//0{_URL_SAFE}{{40,}}"),
    _form("azure-client-secret", "Q~", r"(?<![\w~.-])(?P<secret>[\w~.]{3}\dQ~[\w~.-]{31,34})"),
    _form(
        "azure-account-key",
        "ccountKey= ccessKey= ccountkey= ccesskey=",
        r"(?i:AccountKey|SharedAccessKey)=(?P<secret>[A-Za-z0-9+/]{40,}={0,2})",
    ),
    _form(
        "azure-signature",
        "sig=",
        r"[?&;]sig=(?P<secret>[A-Za-z0-9%+/=_-]{40,})",
    ),
    _prefixed("npm-token", "npm_", rf"npm_{_WORD}{{36}}"),
    _prefixed("pypi-token", "pypi-", rf"pypi-AgE[IN]{_URL_SAFE}{{50,}}"),
    _prefixed("rubygems-key", "rubygems_", r"rubygems_[a-f0-9]{48}"),
    _prefixed("crates-token", "cio", rf"cio{_WORD}{{32}}"),
    _prefixed("docker-token", "dckr_pat_ dckr_oat_", rf"dckr_[po]at_{_URL_SAFE}{{27,}}"),
    _prefixed("sendgrid-key", "SG.", rf"SG\.{_URL_SAFE}{{16,}}\.{_URL_SAFE}{{30,}}"),
    _prefixed("mailgun-key", "key-", r"key-[a-f0-9]{32}"),
    _prefixed("mailchimp-key", "-us", r"[a-f0-9]{32}-us\d{1,2}"),
    _prefixed("brevo-key", "xkeysib-", r"xkeysib-[a-f0-9]{64}-\w{16}"),
    _prefixed("twilio-key", "SK", r"SK[a-f0-9]{32}"),
    _form("telegram-token", ":A", rf"(?<![\w:])\d{{8,10}}:A{_URL_SAFE}{{34}}{_END}"),
    _form(
        "discord-token",
        "discord DISCORD Discord token TOKEN Token bot Bot",
        rf"(?<![\w.-])[MNO]{_URL_SAFE}{{23,27}}\.{_URL_SAFE}{{6}}\.{_URL_SAFE}{{27,38}}{_END}",
    ),
    _prefixed(
        "shopify-token", "shpat_ shpca_ shppa_ shpss_", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"
    ),
    _prefixed("digitalocean-token", "dop_v1_ doo_v1_ dor_v1_", r"do[opr]_v1_[a-f0-9]{64}"),
    _prefixed("databricks-token", "dapi", r"dapi[a-f0-9]{32}(?:-\d)?"),
    _prefixed("vault-token", "hvs. hvb. hvr.", rf"hv[sbr]\.{_URL_SAFE}{{24,}}"),
    _form("terraform-token", "atlasv1", rf"{_BEGIN}{_WORD}{{14}}\.atlasv1\.[\w=-]{{60,}}"),
    _prefixed("linear-key", "lin_api_ lin_oauth_", rf"lin_(?:api|oauth)_{_WORD}{{32,}}"),
    _prefixed("notion-token", "secret_ ntn_", rf"(?:secret|ntn)_{_WORD}{{43,}}"),
    _prefixed("airtable-token", "pat", rf"pat{_WORD}{{14}}\.[a-f0-9]{{64}}"),
    _prefixed("figma-token", "figd_", rf"figd_{_URL_SAFE}{{40,}}"),
    _prefixed("postman-key", "PMAK-", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    _prefixed(
        "grafana-token", "glsa_ glc_", rf"glsa_{_WORD}{{32}}_[a-fA-F0-9]{{8}}|glc_{_WORD}{{32,}}=*"
    ),
    _prefixed("newrelic-key", "NRAK- NRJS- NRII-", r"NR(?:AK|JS|II)-[A-Za-z0-9_-]{19,}"),
    _prefixed("sentry-token", "sntrys_ sntryu_", r"sntry[su]_[A-Za-z0-9_=+/-]{40,}"),
    _prefixed("doppler-token", "dp.", rf"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:\w+\.)?{_WORD}{{40,}}"),
    _prefixed("planetscale-token", "pscale_", r"pscale_(?:tkn|pw|oauth)_[\w.=-]{32,}"),
    _prefixed(
        "supabase-key", "sbp_ sb_secret_", rf"sbp_[a-f0-9]{{40}}|sb_secret_{_URL_SAFE}{{24,}}"
    ),
    _prefixed("atlassian-token", "ATATT3 ATCTT3", r"AT[AC]TT3[A-Za-z0-9_=-]{60,}"),
    _prefixed(
        "flyio-token", "fm1_ fm1r_ fm2_ fm2r_ fo1_", r"fm[12]r?_[A-Za-z0-9+/=_-]{60,}|fo1_[\w-]{43}"
    ),
    _prefixed("netlify-token", "nfp_", rf"nfp_{_WORD}{{36,}}"),
    _prefixed("render-key", "rnd_", rf"rnd_{_WORD}{{32}}"),
    _prefixed("heroku-key", "HRKU-", rf"HRKU-{_URL_SAFE}{{36,}}"),
    _prefixed("alibaba-access-key", "LTAI", rf"LTAI{_WORD}{{20}}"),
    _prefixed("artifactory-key", "AKCp", rf"AKCp{_WORD}{{65,}}"),
    _prefixed(
        "1password-token",
        "ops_eyJ A3-",
        r"ops_eyJ[\w=-]{80,}|A3-[A-Z0-9]{6}(?:-[A-Z0-9]{5,11}){4,5}",
    ),
    _prefixed("tailscale-key", "tskey-", rf"tskey-[a-z]+-{_WORD}+(?:-{_WORD}+)?"),
    _prefixed("pulumi-token", "pul-", r"pul-[a-f0-9]{40}"),
    _prefixed("jfrog-token", "cmVmd", rf"cmVmd{_WORD}{{59}}"),
    _prefixed("telnyx-or-mapbox-key", "sk.eyJ", r"sk\.eyJ[\w-]{40,}(?:\.[\w-]{20,})?"),
    _prefixed(
        "jwt",
        "eyJ eyI",
        rf"ey[IJ]{_URL_SAFE}{{15,2000}}\.ey{_URL_SAFE}{{15,8000}}(?:\.{_URL_SAFE}{{16,8000}})?",
    ),
    _form(
        "url-password",
        "://",
        r"://[^\s:/@'\"<>`\\]{0,80}:(?P<secret>[^\s/@'\"<>`\\]{3,200})@"
        r"[A-Za-z0-9\[$%{]",
        exact=False,
    ),
    _form(
        "command-password",
        "curl wget http mysql mariadb sshpass docker podman redis-cli -passin -passout /user:",
        r"(?:\b(?:curl|wget|https?)\b[^\n|;]{0,160}?\s(?:-u|--user|-a|--auth)[ =]?['\"]?[^\s:'\"/]{1,60}:"
        r"|\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;]{0,120}?\s-p['\"]?"
        r"|\bsshpass\s+-p\s?['\"]?"
        r"|\b(?:docker|podman)\s+login\b[^\n|;]{0,120}?\s-p[ =]?['\"]?"
        r"|\bnet\s+use\b[^\n|;]{0,120}?\s/user:\S{1,60}\s+['\"]?"
        r"|\bredis-cli\b[^\n|;]{0,80}?\s-a\s+['\"]?"
        r"|-pass(?:in|out)\s+['\"]?pass:)(?P<secret>[^\s'\"]{3,200})",
        exact=False,
    ),
    _form(
        "command-password",
        "htpasswd openssl IDENTIFIED identified --secret-string put-parameter",
        r"(?:\bhtpasswd\s+(?:-\w+\s+){0,3}-\w*b\w*\s+\S{1,80}\s+\S{1,60}\s+['\"]?"
        r"|\bopenssl\s+enc\b[^\n|;]{0,120}?\s-k\s+['\"]?"
        r"|\b(?i:identified\s+(?:with\s+\S{1,40}\s+)?by)\s+['\"]"
        r"|\s--secret-string[ =]['\"]?|\bput-parameter\b(?=[^\n]{0,300}SecureString)[^\n|;]{0,120}?\s--value[ =]['\"]?)(?P<secret>[^\s'\"]{3,200})",
        exact=False,
    ),
    _form(
        "command-password",
        "-stdin --with-token chpasswd sudo",
        r"\b(?:echo|printf|printf\s+%s)\s+(?:-\w+\s+)?['\"]?(?:[\w.-]{1,40}:)?(?P<secret>[^\s'\"|:]{6,200})['\"]?"
        r"\s*\|\s*[^\n|;]{0,120}?(?:--(?:password-)?stdin|--with-token|\bchpasswd|\bsudo\s+-S)",
        exact=False,
    ),
    _form(
        "one-time-secret",
        "otpauth://",
        r"otpauth://[^\s\"']{0,200}?[?&]secret=(?P<secret>[A-Za-z2-7]{16,}=*)",
    ),
    _form(
        "authorization-header",
        "earer EARER uthorization UTHORIZATION",
        r"(?i)\b(?:bearer|(?:proxy-)?authorization['\"]?\s*[:=,]\s*['\"]?(?:basic|token|digest|apikey))"
        r"[ \t]+['\"]?(?P<secret>[A-Za-z0-9+/_.~=-]{12,})",
        exact=False,
    ),
)

#: Rules of what a person types: judged as a password is.
TYPED = ("url-password", "command-password")

#: What every other form has: so many signs without a space.
_LONG_WORD = re.compile(r"\S{12}")
#: Each word of each form, with the form; and the same of those whose secrets may be short.
_WORDS = tuple((word, form) for form in FORMS for word in form.words)
_SHORT = tuple((word, form) for word, form in _WORDS if form.rule == "command-password")


def possible(text: str) -> list[Form]:
    """Return the forms that may be in a text, by their words."""
    words = _WORDS if _LONG_WORD.search(text) else _SHORT
    return list(dict.fromkeys([form for word, form in words if word in text]))
