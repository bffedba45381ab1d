"""A browser and its authenticator (on Yubico's `fido2`) against the gateway: passkeys from the first to the last."""

import copy
import os
import sys
import uuid

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from fido2 import cose
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import (
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

port, root = int(sys.argv[1]), sys.argv[2]
PASSWORD = os.environ["PASSWORD"]
ORIGIN, PARTY = "https://eeg.clinic.test", "clinic.test"
FLAGS = AuthenticatorData.FLAG
VERIFIED = FLAGS.UP | FLAGS.UV

http = requests.Session()
http.verify = root
http.trust_env = False


def ask(method, path, body=None, token=None):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    answer = http.request(
        method, f"https://localhost:{port}{path}", json=body, headers=headers, timeout=60
    )
    return answer.status_code, (answer.json() if answer.content else None)


def expect(found, due):
    assert found == due, f"{found!r} where {due!r} is due"


def party_hash(party):
    digest = hashes.Hash(hashes.SHA256())
    digest.update(party.encode())
    return digest.finalize()


class Authenticator:
    """One key; what it says can be bent by the test."""

    def __init__(self, algorithm):
        self.id = os.urandom(32)
        self.counter = 0
        if algorithm == -7:
            self.private = ec.generate_private_key(ec.SECP256R1())
            self.public = cose.ES256.from_cryptography_key(self.private.public_key())
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()
            self.public = cose.EdDSA.from_cryptography_key(self.private.public_key())

    def client(self, kind, challenge, origin=ORIGIN):
        return CollectedClientData.create(type=kind, challenge=challenge, origin=origin)

    def create(self, options, origin=ORIGIN, party=PARTY, flags=VERIFIED, kind="webauthn.create"):
        self.user = options["user"]["id"]
        client = self.client(kind, options["challenge"], origin)
        credential = AttestedCredentialData.create(b"\0" * 16, self.id, self.public)
        data = AuthenticatorData.create(
            party_hash(party), flags | FLAGS.AT, self.counter, bytes(credential)
        )
        return {
            "id": websafe_encode(self.id),
            "rawId": websafe_encode(self.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": websafe_encode(client),
                "attestationObject": websafe_encode(AttestationObject.create("none", data, {})),
                "transports": ["internal"],
            },
        }

    def get(self, options, origin=ORIGIN, party=PARTY, flags=VERIFIED, kind="webauthn.get", step=1):
        client = self.client(kind, options["challenge"], origin)
        self.counter += step
        data = AuthenticatorData.create(party_hash(party), flags, self.counter)
        message = bytes(data) + client.hash
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            signature = self.private.sign(message)
        else:
            signature = self.private.sign(message, ec.ECDSA(hashes.SHA256()))
        return {
            "id": websafe_encode(self.id),
            "rawId": websafe_encode(self.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": websafe_encode(client),
                "authenticatorData": websafe_encode(data),
                "signature": websafe_encode(signature),
                "userHandle": self.user,
            },
        }


def create_options(token):
    status, options = ask("POST", "/v1/me/passkeys/begin", {"password": PASSWORD}, token)
    expect(status, 200)
    return options["publicKey"]


def get_options():
    status, options = ask("POST", "/auth/passkey/begin", {})
    expect(status, 200)
    return options["publicKey"]


def register(token, name, credential):
    return ask("POST", "/v1/me/passkeys", {"name": name, "credential": credential}, token)


def sign_in(credential):
    return ask("POST", "/auth/passkey/complete", {"credential": credential})


_, granted = ask("POST", "/auth/sign-in", {"login": "root", "password": PASSWORD})
token = granted["access_token"]
_, me = ask("GET", "/v1/me", token=token)

# Registering asks for the password again.
status, _ = ask("POST", "/v1/me/passkeys/begin", {"password": "not the password"}, token)
expect(status, 403)
options = create_options(token)
expect((options["rp"]["id"], options["attestation"]), (PARTY, "none"))
expect(options["authenticatorSelection"]["userVerification"], "required")
expect(websafe_decode(options["user"]["id"]), uuid.UUID(me["subject"]).bytes)

first, second = Authenticator(-7), Authenticator(-8)

# What does not hold registers nothing, and its challenge is gone.
for bent in [
    {"origin": "https://evil.test"},
    {"origin": "https://eeg.clinic.test:8443"},
    {"party": "other.test"},
    {"flags": FLAGS.UP},
    {"flags": FLAGS.UV},
    {"kind": "webauthn.get"},
]:
    options = create_options(token)
    expect(register(token, "x", first.create(options, **bent))[0], 422)
    expect(register(token, "x", first.create(options))[0], 422)
expect(register(token, "x", first.create({**create_options(token), "challenge": websafe_encode(b"x" * 32)}))[0], 422)
# A challenge for signing in registers nobody.
expect(register(token, "x", first.create({**get_options(), "user": options["user"]}))[0], 422)
expect(ask("GET", "/v1/me/passkeys", token=token)[1]["passkeys"], [])

credential = first.create(create_options(token))
status, made = register(token, "key ring", credential)
expect((status, made["name"]), (201, "key ring"))
expect(register(token, "again", credential)[0], 422)
options = create_options(token)
expect([one["id"] for one in options["excludeCredentials"]], [websafe_encode(first.id)])
expect(register(token, "again", first.create(options))[0], 422)
expect(register(token, "laptop", second.create(create_options(token)))[0], 201)

# Signing in, with both algorithms.
for authenticator in [first, second, first]:
    status, granted = sign_in(authenticator.get(get_options()))
    expect(status, 200)
    _, who = ask("GET", "/v1/me", token=granted["access_token"])
    expect(who["subject"], me["subject"])

# What does not hold signs nobody in.
for bent in [
    {"origin": "https://evil.test"},
    {"party": "other.test"},
    {"flags": FLAGS.UP},
    {"flags": FLAGS.UV},
    {"kind": "webauthn.create"},
]:
    expect(sign_in(first.get(get_options(), **bent))[0], 401)
# A counter that does not grow: a copy of the authenticator.
expect(sign_in(first.get(get_options()))[0], 200)
known = first.counter
for counter in [known, known - 1]:
    first.counter = counter
    expect(sign_in(first.get(get_options(), step=0))[0], 401)
first.counter = known
answer = first.get(get_options())
forged = copy.deepcopy(answer)
forged["response"]["signature"] = second.get(get_options())["response"]["signature"]
expect(sign_in(forged)[0], 401)
expect(sign_in(answer)[0], 401)  # Its challenge went with the forgery.
answer = first.get(get_options())
answer["response"]["userHandle"] = websafe_encode(uuid.uuid4().bytes)
expect(sign_in(answer)[0], 401)
answer = first.get(get_options())
expect(sign_in(answer)[0], 200)
expect(sign_in(answer)[0], 401)  # Once.
stranger = Authenticator(-8)
stranger.user = first.user
expect(sign_in(stranger.get(get_options()))[0], 401)
first_challenge = {"challenge": create_options(token)["challenge"]}
expect(sign_in(first.get(first_challenge))[0], 401)

# Listed and removed by their owner.
_, listed = ask("GET", "/v1/me/passkeys", token=token)
expect(sorted(one["name"] for one in listed["passkeys"]), ["key ring", "laptop"])
assert all(one["used_at"] for one in listed["passkeys"])
expect(ask("DELETE", "/v1/me/passkeys/" + websafe_encode(b"unknown"), token=token)[0], 404)
expect(ask("DELETE", "/v1/me/passkeys/" + websafe_encode(first.id), token=token)[0], 204)
expect(sign_in(first.get(get_options()))[0], 401)
expect(sign_in(second.get(get_options()))[0], 200)

print("all held")
