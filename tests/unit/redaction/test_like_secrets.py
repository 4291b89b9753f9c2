"""What looks like a secret and is an identifier, and secrets that stand among such."""

from __future__ import annotations

import base64

import pytest
from secret_texts import PASSWORD, WORD, some

from khive_supervisor.redaction.detection import find, masked

#: Twenty signs that nobody has thought up, and a UUID.
RANDOM, UUID = "q8Zr2LmN9pQv" + "4StUv6Wx", "f7bc0f8e-1a3a-4ace-9faa-e8494fa3921a"


def pem(name: str) -> str:
    body = "\n".join(some(WORD, 64) for _ in range(4))
    return f"-----BEGIN {name}-----\n{body}\n-----END {name}-----"


#: Identifiers, digests, code and what is published, beside words that tell of secrets.
INNOCENT = [
    # What vendors and standards publish, with their mark or known by itself.
    "S3Key: AKIA" + "IOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/" + "K7MDENG/bPxRfiCYEXAMPLEKEY",
    '"ClientToken": "28908518-100b-4987-8233-8c744EXAMPLE"',
    "authKey=0xzxgA9YoW9h58u8SvEXAMPLE",
    '"access_token":"2YotnFZFEjr1zCsicMWpAA",',
    "Authorization: Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW",
    (
        "AccountName=devstoreaccount1;AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6"
        "IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    ),
    (
        "token: eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4g"
        "RG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
    ),
    "-----BEGIN RSA " + "PRIVATE KEY-----\nEXAMPLEBAAKCAQEA+AD3qeU2toBy5O5v7wnRLVo/tngVickL\n",
    "key = '-----BEGIN RSA " + "PRIVATE KEY-----' + b64encode(der_of(name)) + line_end",
    "-----BEGIN RSA " + "PRIVATE KEY-----\nkey omitted for security reasons\n",
    # Names of resources, beside a word that tells or after one.
    "--key-identifier arn:aws:payment-cryptography:us-east-2:123456789012:key/kwapwa6qaifllw2h",
    '"ARN": "arn:aws:secretsmanager:us-west-2:123456789012:secret:MyTestSecret-a1b2c3"',
    "the session token of device-07f6fd08867abc123",
    "Starting session with SessionId: ec2-user-07a16060613c408b5",
    "secret in pod web-7d4b9c6f5d-x2x4z",
    '"AWS::AppSync::ApiKey": "3d104ea0be48564b",',
    "the key of projects/shop-prod-4711/locations/global/keyRings/main/cryptoKeys/db",
    "/subscriptions/f7bc0f8e-1a3a-4ace-9faa-e8494fa3921a/vaults/kv1/keys/db1",
    # Identifiers by the name before them.
    "aws apigateway get-usage --key-id 1NbjQzMReAkeEQPNAW8r3dXsU2rDD7fc7f2Sipnu",
    'ClientId="3n4b5urk1ft4fl3mg5e62d9ado",ServerSideTokenCheck=false',
    '"request_id":"SCAU23OM6M8FO38UASGC7785ARVV4KQNSO5A","operation":"GetToken"',
    'x-amz-id-2: "eftixk72aD6Ap51TnqcoF8eFidJG9Z/2mkiDFu8yU9AX" token expired',
    "--change-token 12cs345-67cd-890b-1cd2-c3a4567d89f1",
    # Digests and fingerprints.
    "The key fingerprint is: SHA256:uNiVztksCsDhcc0u9e8BrqO3E4vEcBbk1kTzYw9qhmQ",
    "token docker.io/shop@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "known key AAAAC3NzaC1lZDI1NTE5AAAAIJ8hRrV5J8mW2bq7eVd3L0uT6nY1xQzKp4sGfHcMwEaB of ada",
    (
        '"key": "-----BEGIN PUBLIC KEY-----\\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAxPMbCA2'
        'Ks0lnd\\nwd3H/7jPGwj8bLUmore7bX+oeGpZ6QmLAe/1UOWcmZX2u70dYcSIzB1ofZtcn4cJ\\n"'
    ),
    "lZPvy5TYnhpwXIVtx6quTx8itc2VrbqnzPmrC3pKeY\nnXS3qT6gpf+2SQMT2iLM7XGCK5nPOrf1LXLI",
    # Code, addresses, paths.
    "if(xmlSecTmplKeyInfoAddKeyName(keyInfoNode, NULL) == NULL) {",
    '<li><a href="#x509checkprivatekeyprivatekey"><code>x509.checkPrivateKey(privateKey)',
    "addParseToken();var getSetDayOfMonth=makeGetSet()",
    ".. _`Bearer Token`: https://tools.ietf.org/html/rfc6750",
    "keytool keytool /usr/lib/jvm/java-17-openjdk-amd64/bin/keytool 1711",
    "create --key-name=default-key --start-time=2021-02-01T12:12:12Z",
    '--tag-keys "my-eks-cluster-test-1" "my-eks-cluster-dev-1"',
    "response_type=token&redirect_uri=https%3A%2F%2Fa.b%2Fcallback",
    "PW|Pacific/Palau",
    "if(!token&&pressedKeys.length===keyBindKeys[keyBindKeys.length-1]){}",
    "1password (*.1pif) files",
    "aws ssm put-parameter --name /db/main --value file://v1.json --type SecureString",
    "aws ssm put-parameter --name /region --value eu-west-1 --type String",
    "aws secretsmanager create-secret --name db --secret-string file://secret2.json",
    "CREATE USER shop IDENTIFIED BY '${PASSWORD}'",
]


@pytest.mark.parametrize("text", INNOCENT)
def test_what_everybody_may_know_is_no_secret(text: str) -> None:
    assert find(text) == []


#: Where a secret is to be found all the same, beside or among such things.
BESIDE_NAMES = [
    "arn:aws:kms:eu-west-1:123456789012:key/f7bc0f8e-1a3a-4ace-9faa-e8494fa3921a, secret key {}",
    '{{"UserArn": "arn:aws:iam::123456789012:user/ci", "SecretAccessKey": "{}"}}',
    "client_id=3n4b5urk1ft4fl3mg5e62d9ado client_secret={}",
    "request_id=SCAU23OM6M8FO38UASGC7785ARVV4KQNSO5A token={}",
    "The key id is 1NbjQzMReAkeEQPNAW8r3dXsU2rDD7fc and the secret is {}.",
    "Cookie: sessionid=1NbjQzMReAkeEQPNAW8r3dXsU2rD; csrftoken={}",
    "Cookie: theme=dark; sessionid={}",
    "Set-Cookie: sessionid={}; path=/",
    "sha256:9f86d081884c7d659a2feaa0c55ad015 is the digest of api_key {}",
    (
        "-----BEGIN CERTIFICATE-----\nMIICzzCCAbegAwIBAgIJANVEPWXl8taP\n-----END CERTIFICATE-----\n"
        "password: {}"
    ),
    "webhook: https://chat.internal/hooks/{}",
    "token: {}  # https://docs.internal/api/tokens",
    '"AWS::AppSync::ApiKey": {{"api_key": "{}"}}',
]


@pytest.mark.parametrize("around", BESIDE_NAMES)
def test_a_secret_beside_what_is_none_is_found(around: str) -> None:
    text = around.format(RANDOM)
    assert RANDOM not in masked(text, find(text))


@pytest.mark.parametrize(
    "text",
    [
        "password: {}",
        "the password of the vault is {}",
        "HEROKU_API_KEY={}",
        "client_id: a\nclient_secret: {}",
        "vault write auth/approle/login role_id=1 secret_id={}",
        "access_token={}",
        "Authorization: Bearer {}",
        "//npm.internal/:_authToken={}",
    ],
)
def test_a_uuid_that_lets_in_is_one(text: str) -> None:
    said = text.format(UUID)
    assert UUID not in masked(said, find(said))


@pytest.mark.parametrize(
    "text",
    [
        "btw the pw for grafana: {}",
        "password: {}&&x",
        "password for the reporting user = {}",
        "the login for staging is admin / {} , it changes on Friday",
        "net use Z: \\\\fs01\\share /user:acme\\ada {}",
        "echo {} | docker login -u ci --password-stdin registry.internal",
        "echo ada:{} | sudo chpasswd",
        "htpasswd -b .htpasswd ada {}",
        "openssl enc -aes-256-cbc -k {} -in x",
        "CREATE USER shop IDENTIFIED BY '{}';",
        "aws secretsmanager create-secret --name db --secret-string {}",
        "aws ssm put-parameter --name /db/main --value {} --type SecureString",
        "Das Passwort für den Server lautet {}",
        'network={{\n  ssid="office"\n  psk="{}"\n}}',
        "| user | password |\n|---|---|\n| admin | {} |\n",
        "user,password,mail\nada,{},ada@example.org\n",
    ],
)
def test_passwords_as_people_paste_them(text: str) -> None:
    said = text.format(PASSWORD)
    assert PASSWORD not in masked(said, find(said))


@pytest.mark.parametrize(
    "inner",
    [
        f'{{"type": "service_account", "private_key": "{pem("PRIVATE " + "KEY")}"}}',
        f'{{\n  "user": "ci", "password": "{PASSWORD}"\n}}',
        pem("RSA " + "PRIVATE KEY"),
    ],
)
def test_what_holds_a_secret_in_base64_is_one(inner: str) -> None:
    encoded = base64.b64encode(inner.encode()).decode()
    text = f"the account, encoded: {encoded} (until Friday)"
    (found,) = find(text)
    assert (text[found.start : found.end], found.rule) == (encoded, "encoded-secret")
    harmless = base64.b64encode(b'{"kind": "list", "names": ["ada", "grace", "edsger"]}').decode()
    assert not find(f"the account, encoded: {harmless}")


def test_the_seed_of_one_time_passwords_is_one() -> None:
    seed = some("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 32)
    text = f"otpauth://totp/Acme:ada?secret={seed}&issuer=Acme"
    assert seed not in masked(text, find(text))
