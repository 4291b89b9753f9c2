"""What is found as a secret, and what is not taken for one; no literal here looks like a key."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from secret_texts import PASSWORD, WORD, some

from khive_supervisor.redaction import detection
from khive_supervisor.redaction.detection import find, find_value, masked, place

HEX = "0123456789abcdef"

#: By rule, a secret of it.
FORMS = {
    "aws-access-key": "AK" + "IA" + some(string.ascii_uppercase, 16),
    "github-token": "gh" + "p_" + some(WORD, 36),
    "gitlab-token": "gl" + "pat-" + some(WORD, 20),
    "slack-token": "xo" + "xb-" + "4711471147-" + some(WORD, 24),
    "stripe-key": "sk" + "_live_" + some(WORD, 24),
    "anthropic-key": "sk-" + "ant-" + some(WORD, 90),
    "openai-key": "sk-" + "proj-" + some(WORD, 60),
    "google-api-key": "AI" + "za" + some(WORD, 35),
    "npm-token": "np" + "m_" + some(WORD, 36),
    "pypi-token": "py" + "pi-AgE" + "I" + some(WORD, 80),
    "sendgrid-key": "S" + "G." + some(WORD, 22) + "." + some(WORD, 43),
    "telegram-token": "4711471147" + ":A" + some(WORD, 34),
    "vault-token": "hv" + "s." + some(WORD, 40),
    "digitalocean-token": "do" + "p_v1_" + some(HEX, 64),
    "jwt": "ey" + "J" + some(WORD, 30) + ".ey" + some(WORD, 40) + "." + some(WORD, 43),
}


@pytest.mark.parametrize("rule", FORMS)
@pytest.mark.parametrize("around", ["{}", "use {} for it", 'x = "{}"', "a\n{}\nb", "({})"])
def test_a_form_is_found_wherever_it_stands(rule: str, around: str) -> None:
    text = around.format(FORMS[rule])
    (found,) = find(text)
    assert found.rule == rule
    assert text[found.start : found.end] == FORMS[rule]


def pem(name: str) -> str:
    body = "\n".join(some(WORD, 64) for _ in range(4))
    return f"-----BEGIN {name}-----\n{body}\n-----END {name}-----"


@pytest.mark.parametrize(
    "name", ["RSA " + "PRIVATE KEY", "PRIVATE " + "KEY", "PGP " + "PRIVATE KEY BLOCK"]
)
def test_of_a_key_nothing_but_its_frame_is_left(name: str) -> None:
    key = pem(name)
    text = f"before\n{key}\nafter"
    left = masked(text, find(text))
    assert left.startswith("before\n-----BEGIN")
    assert left.endswith("-----\nafter")
    assert not any(line in left for line in key.split("\n")[1:-1])


def test_a_key_that_is_cut_off_is_one_to_its_end() -> None:
    text = pem("PRIVATE " + "KEY").rpartition("\n")[0]
    (found,) = find(text)
    assert found.end == len(text)


RANDOM = some(WORD, 12) + "7Q" + some(WORD, 12) + "x9"
SAID = [
    "the password is {}",
    "the admin password was changed to {} yesterday",
    "log in as root with password {}",
    "use {} as the password",
    "password: {}",
    "DB_PASSWORD={}",
    "export DB_PASSWORD='{}'",
    'connect(user="app", password="{}")',
    '  "password": "{}",',
    "<password>{}</password>",
    "mysql --password={} -u root",
    "machine example.org login ada password {}",
    "- name: DB_PASSWORD\n  value: {}",
    "Here is the password:\n\n{}\n",
    "Das Passwort ist {}",
]


@pytest.mark.parametrize("said", SAID)
def test_a_password_is_found_by_what_is_said_of_it(said: str) -> None:
    text = said.format(PASSWORD)
    assert PASSWORD[:-1] not in masked(text, find(text))


@pytest.mark.parametrize(
    "said",
    [
        "the API key is {}",
        "API_KEY={}",
        'const apiKey = "{}";',
        "our deploy token for CI: {}",
        "send {} as the access token",
        "curl -H 'X-Api-Key: {}'",
        "client_secret = {}",
        "tool --token {} --verbose",
        "Authorization: Bearer {}",
    ],
)
def test_what_is_random_is_found_beside_its_name(said: str) -> None:
    text = said.format(RANDOM)
    assert RANDOM not in masked(text, find(text))


@pytest.mark.parametrize(
    "text",
    [
        "postgres://app:{}@db:5432/app",
        "redis://:{}@cache/0",
        "https://ci:{}@git.internal/x.git",
        "Server=sql;User ID=app;Password={};Encrypt=True",
        "AccountName=x;AccountKey={};EndpointSuffix=y",
    ],
)
def test_addresses_and_connection_strings(text: str) -> None:
    secret = some(WORD, 44)
    whole = text.format(secret)
    assert secret not in masked(whole, find(whole))


#: Passwords that are short words with a number, as people think them up.
THOUGHT_UP = ["hunter2", "summer22", "blauerelefant42", "Sommer2024", "s3cr3tpw"]


@pytest.mark.parametrize("password", THOUGHT_UP)
@pytest.mark.parametrize(
    "said",
    [
        "password: {}",
        "the wifi password is {}",
        "new password: {}, do not share it",
        "PGPASSWORD={} psql",
        "set the password to {}.",
        "machine db.internal login bob password {}",
        '{{"user": "bob", "password": "{}"}}',
        "curl -u admin:{} https://example.org",
        "curl --user admin:{} https://example.org",
        "mysql -u root -p{} shop",
        "sshpass -p '{}' ssh db",
        "docker login -u me -p {} registry.internal",
        "redis-cli -h cache -a {} ping",
        "openssl rsa -in key.pem -passin pass:{}",
    ],
)
def test_a_weak_password_is_one_too(said: str, password: str) -> None:
    text = said.format(password)
    assert password not in masked(text, find(text)), text


@pytest.mark.parametrize(
    "key",
    [
        "sk_live_" + "abcdefghijklmnopqrstuvwx",
        "npm_" + "abcdefghijklmnopqrstuvwxyz0123456789",
    ],
)
def test_a_form_is_proof_enough_for_a_row_of_letters(key: str) -> None:
    assert find(f"For the deploy use {key} of the vault.")


def test_a_basic_header_is_one_by_what_is_in_it() -> None:
    credentials = base64.b64encode(b"ada:" + PASSWORD.encode()).decode()
    assert find(f"Authorization: Basic {credentials}")
    assert not find(f"Authorization: Basic {base64.b64encode(b'tea for two').decode()}")


#: What stands where a secret might, or looks random, and is none.
INNOCENT = [
    "api_key = <your key>",
    "password: xxxxxxxx",
    "token=${TOKEN}",
    "password = {{ vault.password }}",
    "the key is AKIAXXXXXXXXXXXXXXXX",
    "sk-ant-api03-" + "your-key-here-please-1234",
    "password: sha256",
    "the password is base64",
    "the password is kept as argon2id",
    "password: str1",
    "curl -u $USER:$PASS https://example.org",
    "curl -u user:pass https://example.org",
    "docker run -p 127.0.0.1:8080:80 nginx",
    "docker login -p $TOKEN",
    "mysql -p3306",
    "mysql -port db",
    'password = os.environ["DB_PASSWORD"]',
    "password = getpass.getpass()",
    "self.password = config.password2",
    "token: Optional[str] = None",
    "commit 5d41402abc4b2a76b9719d911017c592aa10bbcd has the token check",
    "the key 550e8400-e29b-41d4-a716-446655440000 is an id",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 is the key's digest",
    '"integrity": "sha512-q1MGvLaXk0xyQ8uR0j3sYzZ7h0nZ1yFzvLxWmQdVbPZq4t5J8k2n3w=="',
    "The token bucket holds 100 tokens, and its key is the user's id.",
    "Passwords have at least 12 characters and a sign.",
    "author = Ada Lovelace1815",
    "keyboard shortcuts: ctrl+shift+F12345678",
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----",
    "postgres://postgres:postgres@localhost/test",
    "https://user:password@example.org",
    "arn:aws:kms:us-east-1:123456789012:key/f7bc0f8e-1a3a-4ace-9faa-e8494fa3921a",
    "sessions hang: claude-mem#1933/#1251, context-mode#218 after the token refresh",
    "apt passwd 1:4.13+dfsg1-1+deb12u1",
    "secret-detector v0.0.0-20260916192156-3e28d7ed64df",
    "salsa20-128-set-key.c salsa20-256-set-key.c",
    "see https://docs.example.org/api/v2/tokens/create_access_token_1",
]


@pytest.mark.parametrize("text", INNOCENT)
def test_what_is_no_secret(text: str) -> None:
    assert find(text) == []


def test_a_field_s_name_tells_of_its_value() -> None:
    assert not find_value("SessionId", "Jane-Roe-07a16060613c408b5")
    assert find_value("secret_id", UUID)
    assert find_value("password", PASSWORD)
    assert not find_value("title", PASSWORD)
    assert not find_value("password", "${PASSWORD}")


def test_a_place_is_a_line_and_a_column() -> None:
    text = f"one\ntwo {FORMS['npm-token']}"
    (found,) = find(text)
    assert place(text, found.start) == (2, 5)


def test_letters_that_have_another_length_in_lower_case_move_nothing() -> None:
    text = f"İİİ password={PASSWORD}"
    (found,) = find(text)
    assert text[found.start : found.end] == PASSWORD


PIECES = st.lists(
    st.one_of(st.text(max_size=20), st.sampled_from([*FORMS.values(), *SAID, PASSWORD, RANDOM])),
    max_size=8,
).map(" ".join)


@given(PIECES)
def test_what_is_masked_is_not_found_again(text: str) -> None:
    findings = find(text)
    assert all(0 <= one.start < one.end <= len(text) for one in findings)
    once = masked(text, findings)
    again = masked(once, find(once))
    assert masked(again, find(again)) == again
    assert not any(secret in once for secret in FORMS.values())


def test_a_mask_names_the_rule() -> None:
    text = f"key {FORMS['npm-token']}"
    assert masked(text, find(text)) == "key [masked npm-token]"
    assert detection.MASK == "[masked "


#: Twenty signs that nobody has thought up, a number in hexadecimal digits, and a UUID.
RANDOM, NUMBER = "q8Zr2LmN9pQv" + "4StUv6Wx", "9f3b9c0d2e7a" + "41f68f3b9c0d"
UUID = "f7bc0f8e-1a3a-4ace-9faa-e8494fa3921a"


def basic(credentials: bytes) -> str:
    return "Authorization: Basic " + base64.b64encode(credentials).decode()


def framed(body: str) -> str:
    return f"-----BEGIN {'PRIVATE'} KEY-----\n{body}\n-----END {'PRIVATE'} KEY-----"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        # A UUID is a name, unless what it is called says otherwise.
        (f'token = "{UUID}"', False),
        (f'api_key = "{UUID}"', True),
        (f'client_secret = "{UUID}"', True),
        # A number in hexadecimal digits, unless it is a digest.
        (f'api_key = "{NUMBER}"', True),
        (f'token_sha256 = "{NUMBER}"', False),
        (f"api key, sha256: {NUMBER}", False),
        (f"token {NUMBER}", True),
        (f"auth {NUMBER}", False),
        # Passwords have no spaces, and names without quotes are expressions.
        ('password = "Two words1"', False),
        ('secret = "Two words1"', False),
        ("password = hunter2", True),
        ("password = hunters", False),
        ("api_key = someName12", False),
        ("password = getpass(x1)", False),
        ('password = os.environ["X1"]', False),
        # Ten signs with three changes, where it is assigned and not only said.
        ('token = "a1b2c3d4e5"', True),
        ('token = "a1b2c3d4e"', False),
        ('token = "ab1cd2ef3g"', True),
        ('token = "ab1cd2efgh"', False),
        ("the token is a1b2c3d4e5", False),
        # A key's frame with something in it.
        (framed("MIIEvQIBADAN"), True),
        (framed("MIIEvQIBADA"), False),
        (framed("MIIEvQIB...ADANBgkq"), False),
        # HTTP's headers.
        (basic(b"user:password1"), True),
        (basic(b"username:"), False),
        (f"Authorization: token {NUMBER}", True),
        (f"Authorization: token {NUMBER[:-1]}", False),
        # What is typed: a word or a number is one from twelve signs on.
        ("curl -u ada:copper https://x", False),
        ("curl -u ada:copperfalco https://x", False),
        ("curl -u ada:copperfalcon https://x", True),
        ("curl -u ada:COPPERFALCO https://x", False),
        ("curl -u ada:27182818284 https://x", False),
        ("curl -u ada:271828182845 https://x", True),
        ("curl -u ada:Copper7 https://x", True),
        ("curl -u ada:{password} https://x", False),
        ("mariadb -pCopper7 shop", True),
        # A label that tells little wants twenty signs.
        (f"auth {RANDOM}", True),
        (f"auth {RANDOM[:-1]}", False),
        (f"token {RANDOM[:-1]}", True),
        # Near enough, and no part of an address.
        (f"see /token/{RANDOM}", False),
        (f"{RANDOM} is the token", True),
        (f"token {'x ' * 60}{RANDOM}", True),
        (f"token {'x ' * 80}{RANDOM}", False),
        (f"token\n{RANDOM}", True),
        ("use Copper7x as the password", True),
        ("use coppers as the password", False),
        ("use changeme1 as password", False),
    ],
)
def test_what_tells_a_secret_from_what_is_like_one(text: str, secret: bool) -> None:
    assert bool(find(text)) == secret


def test_the_first_sign_of_a_line_is_in_column_one() -> None:
    assert [place("a\nbc\nd", at) for at in (0, 2, 3, 5)] == [(1, 1), (2, 1), (2, 2), (3, 1)]


def test_of_two_that_begin_together_the_longer_one_stays() -> None:
    short, long = detection.Finding(0, 4, "a"), detection.Finding(0, 9, "b")
    after = detection.Finding(9, 12, "c")
    assert detection._apart([short, after, long]) == [long, after]


@pytest.mark.parametrize(
    "said", ["passwords {}", "passwords with {} characters", "a password is {}"]
)
@pytest.mark.parametrize(
    "word",
    [
        "non-ASCII",
        "non-Latin",
        "special-Char",
        "case-Sensitive",
        "pre-2FA",
        "e-mail-Adress",
        "multi-UTF8",
    ],
)
def test_a_word_with_a_prefix_is_no_password_where_it_is_said(said: str, word: str) -> None:
    assert not detection.find(said.format(word))
    assert detection.find(f"password={word}x9!Q"), "what is assigned is judged as ever"


@pytest.mark.parametrize("word", ["Hunter2-x", "non-Q7!vLm2x", "Kettle-Drum9"])
def test_a_password_with_a_hyphen_is_one_where_it_is_said(word: str) -> None:
    assert detection.find(f"the password is {word}")
