"""A small AVP client: the standard library and `cryptography`. Run it for a walk at $AVP_SERVER_URL."""

import base64
import email.utils
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SCHEME = "X25519-HKDF-SHA256-AESGCM-v1"
WRAP_INFO = b"avp/rdk-wrap/v1"
LONGEST_WAIT = 20
LARGEST_BODY = 16 << 20


class Refused(Exception):
    """The server answered with an error status."""

    def __init__(self, status, error):
        super().__init__(f"{status}: {error}")
        self.status = status


class Invalid(Exception):
    """What came is no answer of the protocol."""


class Untrusted(Exception):
    """What came does not decrypt, or is bound by nobody."""


class Conflict(Exception):
    """Somebody else wrote first, each time."""


def b64(data):
    return base64.b64encode(data).decode()


def unb64(text):
    return base64.b64decode(text, validate=True)


def aad(repo, version, epoch):
    return repo.encode() + b"\x1f" + version.to_bytes(8, "big", signed=True) + epoch.to_bytes(8, "big", signed=True)


def kek(shared, ephemeral):
    return HKDF(algorithm=SHA256(), length=32, salt=ephemeral, info=WRAP_INFO).derive(shared)


def wrap(data_key, x25519):
    ephemeral = X25519PrivateKey.generate()
    public = ephemeral.public_key().public_bytes_raw()
    try:
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(unb64(x25519)))
    except ValueError as error:  # a key of small order, or none at all
        raise Untrusted(f"no key to wrap for: {error}") from error
    iv = os.urandom(12)
    sealed = AESGCM(kek(shared, public)).encrypt(iv, data_key, WRAP_INFO)
    return {"schemeId": SCHEME, "ephemeralPublicKey": b64(public), "iv": b64(iv), "ciphertext": b64(sealed)}


def strip(alts):
    return [{name: value for name, value in alt.items() if name not in ("refreshToken", "expiresAt")} for alt in alts]


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(NoRedirects, urllib.request.ProxyHandler({}))


def wait_for(headers):
    told = headers.get("Retry-After", "1")
    try:
        return float(told)
    except ValueError:
        return email.utils.parsedate_to_datetime(told).timestamp() - time.time()


class Member:
    def __init__(self, server, ed25519=None, x25519=None):
        self.server = server.rstrip("/")
        self.ed25519 = ed25519 or Ed25519PrivateKey.generate()
        self.x25519 = x25519 or X25519PrivateKey.generate()
        self.id = b64(self.ed25519.public_key().public_bytes_raw())
        self.x25519_id = b64(self.x25519.public_key().public_bytes_raw())
        self.tokens = {}  # by server: none is shown to another
        self.issuer = None  # key of the issuer that binds keys, where the server is not our own

    # Requests

    def request(self, method, path, body=None, token=None):
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        for attempt in range(3):
            request = urllib.request.Request(self.server + path, data, headers, method=method)
            try:
                with OPENER.open(request, timeout=30) as answer:
                    status, told = answer.status, answer.read(LARGEST_BODY)
                    break
            except urllib.error.HTTPError as error:
                status, told = error.code, error.read(LARGEST_BODY)
                if status == 429 and attempt < 2 and wait_for(error.headers) <= LONGEST_WAIT:
                    time.sleep(max(0, wait_for(error.headers)))
                    continue
                break
        if status >= 400:
            try:
                raise Refused(status, json.loads(told)["error"])
            except (ValueError, KeyError, TypeError):
                raise Refused(status, "no error object") from None
        try:
            if status != 200:
                raise ValueError(f"status {status}")
            return json.loads(told)
        except ValueError as error:
            raise Invalid(f"{method} {path}: {error}") from error

    def login(self):
        nonce = self.request("POST", "/api/auth/keypair/challenge", {"ed25519PublicKey": self.id})["nonce"]
        signature = b64(self.ed25519.sign(unb64(nonce)))
        body = {"ed25519PublicKey": self.id, "nonce": nonce, "signature": signature}
        self.tokens[self.server] = self.request("POST", "/api/auth/keypair/token", body)["token"]

    def call(self, method, path, body=None):
        if self.server not in self.tokens:
            self.login()
        try:
            return self.request(method, path, body, self.tokens[self.server])
        except Refused as error:
            if error.status != 401:
                raise
            self.login()
            return self.request(method, path, body, self.tokens[self.server])

    def path(self, repo, rest):
        return f"/v1/repos/{urllib.parse.quote(repo, safe='')}/{rest}"

    # Cryptography

    def seal(self, data_key, repo, version, epoch, alts, shares):
        payload = {"alts": alts if shares is True else strip(alts), "payloadVersion": version}
        iv = os.urandom(12)
        sealed = AESGCM(data_key).encrypt(iv, json.dumps(payload).encode(), aad(repo, version, epoch))
        return {"repoId": repo, "payloadVersion": version, "keyEpoch": epoch, "iv": b64(iv), "ciphertext": b64(sealed)}

    def unwrap(self, wrapped):
        if wrapped["schemeId"] != SCHEME:
            raise Untrusted("an unknown wrap scheme")
        public = unb64(wrapped["ephemeralPublicKey"])
        shared = self.x25519.exchange(X25519PublicKey.from_public_bytes(public))
        return AESGCM(kek(shared, public)).decrypt(unb64(wrapped["iv"]), unb64(wrapped["ciphertext"]), WRAP_INFO)

    def open(self, manifest, envelope):
        try:
            own = next(entry for entry in manifest["members"] if entry["ed25519PublicKey"] == self.id)
            data_key = self.unwrap(own["wrappedDataKey"])
            place = aad(envelope["repoId"], envelope["payloadVersion"], envelope["keyEpoch"])
            payload = AESGCM(data_key).decrypt(unb64(envelope["iv"]), unb64(envelope["ciphertext"]), place)
            return data_key, json.loads(payload)["alts"]
        except StopIteration:
            raise Untrusted("we are not in the roster") from None
        except (InvalidTag, ValueError, KeyError) as error:
            raise Untrusted(f"it does not decrypt: {error!r}") from error

    def entry(self, data_key, epoch, ed25519, x25519, binding=None):
        entry = {"ed25519PublicKey": ed25519, "x25519PublicKey": x25519, "wrappedDataKey": wrap(data_key, x25519)}
        return entry | {"keyEpoch": epoch, "keyBindingSig": binding}

    def check_binding(self, ed25519, x25519, binding):
        if self.issuer is None:
            return
        try:
            key = Ed25519PublicKey.from_public_bytes(unb64(self.issuer))
            key.verify(unb64(binding or ""), f"{ed25519}|{x25519}".encode())
        except (InvalidSignature, ValueError) as error:
            raise Untrusted(f"nobody has bound the keys of {ed25519}") from error

    # Operations

    def create(self, repo, alts, shares=None):
        data_key = AESGCM.generate_key(256)
        manifest = {"repoId": repo, "schemeId": SCHEME, "keyEpoch": 0, "payloadVersion": 1}
        manifest["members"] = [self.entry(data_key, 0, self.id, self.x25519_id)]
        if shares is not None:
            manifest["shareRefreshTokens"] = shares
        envelope = self.seal(data_key, repo, 1, 0, alts, shares)
        self.call("POST", "/v1/repos", {"manifest": manifest, "initialEnvelope": envelope})

    def pull(self, repo, known=0):
        """Manifest, data key and alts; without the latter two where nothing has changed."""
        answer = self.call("POST", self.path(repo, "pull"), {"repoId": repo, "knownPayloadVersion": known})
        manifest = answer["manifest"]
        if answer["unchanged"]:
            return manifest, None, None
        envelope = answer.get("envelope") or {}
        if manifest["repoId"] != repo or envelope.get("repoId") != repo:
            raise Untrusted("an answer about another repository")
        data_key, alts = self.open(manifest, envelope)
        if manifest.get("shareRefreshTokens") is not True:
            alts = strip(alts)
        return manifest, data_key, alts

    def push(self, repo, expected, manifest, data_key, alts):
        version, epoch = expected + 1, manifest["keyEpoch"]
        envelope = self.seal(data_key, repo, version, epoch, alts, manifest.get("shareRefreshTokens"))
        body = {"repoId": repo, "envelope": envelope, "expectedPayloadVersion": expected}
        return self.call("POST", self.path(repo, "push"), body)

    def save(self, repo, ours):
        for _ in range(5):
            manifest, data_key, theirs = self.pull(repo)
            taken = {alt["uuid"] for alt in ours}
            merged = [alt for alt in theirs if alt["uuid"] not in taken] + ours
            answer = self.push(repo, manifest["payloadVersion"], manifest, data_key, merged)
            if answer["accepted"]:
                return answer["payloadVersion"]
        raise Conflict("somebody else wrote first, five times")

    def add(self, repo, ed25519, x25519, binding=None):
        self.check_binding(ed25519, x25519, binding)
        manifest, data_key, _ = self.pull(repo)
        member = self.entry(data_key, manifest["keyEpoch"], ed25519, x25519, binding)
        self.call("POST", self.path(repo, "add-member"), {"repoId": repo, "member": member})

    def remove(self, repo, member_id):
        manifest, _, alts = self.pull(repo)
        data_key, epoch = AESGCM.generate_key(256), manifest["keyEpoch"] + 1
        rewrapped = []
        for entry in manifest["members"]:
            ed25519, x25519 = entry["ed25519PublicKey"], entry["x25519PublicKey"]
            if ed25519 == member_id:
                continue
            if ed25519 == self.id:
                x25519 = self.x25519_id
            else:
                self.check_binding(ed25519, x25519, entry.get("keyBindingSig"))
            rewrapped.append(self.entry(data_key, epoch, ed25519, x25519, entry.get("keyBindingSig")))
        shares = manifest.get("shareRefreshTokens")
        body = {"repoId": repo, "removedMemberId": member_id, "rewrappedMembers": rewrapped, "newKeyEpoch": epoch}
        body["rotatedEnvelope"] = self.seal(data_key, repo, manifest["payloadVersion"] + 1, epoch, alts, shares)
        self.call("POST", self.path(repo, "remove-member"), body)
        return epoch

    def fetch(self, repo, member_id):
        return self.call("GET", self.path(repo, "member/" + urllib.parse.quote(member_id, safe="")))


def walk(server):
    alice, bob = Member(server), Member(server)
    repo = str(uuid.uuid4())
    alt = {"uuid": str(uuid.uuid4()), "username": "alt", "accessToken": "secret", "type": "MICROSOFT", "lastUsed": 0}
    alice.login()
    print("alice      ", alice.id)
    alice.create(repo, [alt])
    print("created    ", repo)
    print("unchanged  ", alice.pull(repo, 1)[1] is None)
    manifest, data_key, alts = alice.pull(repo)
    print("pushed     ", alice.push(repo, 1, manifest, data_key, alts))
    print("stale push ", alice.push(repo, 1, manifest, data_key, alts))
    alice.add(repo, bob.id, bob.x25519_id)
    print("bob's entry", alice.fetch(repo, bob.id)["x25519PublicKey"])
    bob.login()
    print("bob reads  ", [alt["username"] for alt in bob.pull(repo)[2]])
    print("bob is out ", alice.remove(repo, bob.id))


if __name__ == "__main__":
    try:
        walk(os.environ.get("AVP_SERVER_URL", "http://localhost:8787"))
    except (Refused, Invalid, Untrusted, Conflict, OSError) as error:
        sys.exit(f"failed: {error}")
