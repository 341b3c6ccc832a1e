"""A small AVP server over gRPC, in memory: `grpcio`, `grpcio-tools` and `cryptography`. It listens at $PORT, or 50051."""

import base64
import os
import secrets
import sys
import threading
import time
from collections import namedtuple
from concurrent import futures

import grpc
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from grpc import StatusCode

# The protocol's schema stands beside this file, or where this repository has it.
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../schema"))
messages, services = grpc.protos_and_services("avp.proto")

NONCE_SECONDS = 120
TOKEN_SECONDS = 3600
CALLS_AT_ONCE = 16
IDS = ("repo_id", "scheme_id", "member_id", "removed_member_id")
# How many bytes stand behind the base64 of a field; None: any number but none.
LENGTHS = {
    "ed25519_public_key": 32,
    "x25519_public_key": 32,
    "ephemeral_public_key": 32,
    "iv": 12,
    "signature": 64,
    "ciphertext": None,
    "nonce": None,
}
WRAPPED_KEY_BYTES = 48


class Refused(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def refuse_if(condition, status, text):
    if condition:
        raise Refused(status, text)


def bad_if(condition, text):
    refuse_if(condition, StatusCode.INVALID_ARGUMENT, text)


def unb64(text):
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused(StatusCode.INVALID_ARGUMENT, "no base64") from None


def check(message):
    """Messages and ids are there, and what is base64 is of the right length."""
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type and field.is_repeated:
            for item in value:
                check(item)
        elif field.message_type:
            bad_if(not message.HasField(field.name), f"{field.name} is missing")
            check(value)
        elif field.name in LENGTHS:
            is_wrapped = field.full_name == "avp.WrappedKey.ciphertext"
            wanted = WRAPPED_KEY_BYTES if is_wrapped else LENGTHS[field.name]
            got = len(unb64(value))
            bad_if(got == 0 or got != (wanted or got), f"{field.name} has {got} bytes")
        elif field.name in IDS:
            bad_if(not value, f"{field.name} is missing")


# What is stored is never changed, only replaced: an answer may still be on its way out.
Repository = namedtuple("Repository", "manifest envelope last_removal", defaults=[None])


def ids(entries):
    return [entry.ed25519_public_key for entry in entries]


def entry_of(repository, member):
    return next((entry for entry in repository.manifest.members if entry.ed25519_public_key == member), None)


def written(manifest, envelope, roster, epoch):
    """The manifest with an envelope, a roster and an epoch in place of its own."""
    bad_if(envelope.repo_id != manifest.repo_id, "the envelope is of another repository")
    bad_if(envelope.payload_version <= manifest.payload_version, "versions only grow")
    bad_if(len(set(ids(roster))) < len(roster), "a member stands in the roster twice")
    new = with_roster(manifest, roster)
    new.payload_version, new.key_epoch = envelope.payload_version, epoch
    return new


def with_roster(manifest, roster):
    new = messages.VaultManifest()
    new.CopyFrom(manifest)
    del new.members[:]
    new.members.extend(roster)
    return new


class Store:
    """Nonces, tokens and repositories. Under one lock: an operation is done whole, and none beside another."""

    def __init__(self):
        self.lock = threading.Lock()
        self.nonces = {}
        self.tokens = {}
        self.repositories = {}

    def challenge(self, request, _caller):
        check(request)
        nonce = base64.b64encode(secrets.token_bytes(32)).decode()
        self.nonces[nonce] = (request.ed25519_public_key, time.time() + NONCE_SECONDS)
        return messages.AuthChallenge(nonce=nonce)

    def token(self, request, _caller):
        check(request)
        key, expires = self.nonces.pop(request.nonce, (None, 0))
        is_open = key == request.ed25519_public_key and time.time() < expires
        refuse_if(not is_open, StatusCode.UNAUTHENTICATED, "no such nonce")
        try:
            public = Ed25519PublicKey.from_public_bytes(unb64(key))
            public.verify(unb64(request.signature), unb64(request.nonce))
        except (InvalidSignature, ValueError):
            raise Refused(StatusCode.UNAUTHENTICATED, "the signature does not hold") from None
        token, expires = secrets.token_urlsafe(32), time.time() + TOKEN_SECONDS
        self.tokens[token] = (key, expires)
        return messages.AuthToken(token=token, expires_at=int(expires * 1000))

    def caller(self, metadata):
        authorization = next((value for name, value in metadata if name == "authorization"), "")
        scheme, _, token = authorization.partition(" ")
        member, expires = self.tokens.get(token, (None, 0))
        is_known = scheme.lower() == "bearer" and time.time() < expires
        refuse_if(not is_known, StatusCode.UNAUTHENTICATED, "no valid token")
        return member

    def repository(self, request, caller):
        repository = self.repositories.get(request.repo_id)
        refuse_if(repository is None, StatusCode.NOT_FOUND, "no such repository")
        refuse_if(entry_of(repository, caller) is None, StatusCode.PERMISSION_DENIED, "no member")
        check(request)
        return repository

    def create(self, request, caller):
        check(request)
        manifest, envelope = request.manifest, request.initial_envelope
        is_alone = ids(manifest.members) == [caller]
        refuse_if(not is_alone, StatusCode.PERMISSION_DENIED, "the roster is exactly the caller")
        is_there = manifest.repo_id in self.repositories
        refuse_if(is_there, StatusCode.ALREADY_EXISTS, "there is such a repository")
        for field in ("repo_id", "payload_version", "key_epoch"):
            is_same = getattr(manifest, field) == getattr(envelope, field)
            bad_if(not is_same, f"manifest and envelope differ in {field}")
        self.repositories[manifest.repo_id] = Repository(manifest, envelope)
        return manifest

    def pull(self, request, caller):
        manifest, envelope, _ = self.repository(request, caller)
        unchanged = request.known_payload_version == manifest.payload_version
        served = None if unchanged else envelope
        return messages.PullResponse(manifest=manifest, envelope=served, unchanged=unchanged)

    def push(self, request, caller):
        manifest = self.repository(request, caller).manifest
        applies = request.expected_payload_version == manifest.payload_version
        if applies:
            envelope, rotated = request.envelope, request.rotated_members
            bad_if(envelope.key_epoch < manifest.key_epoch, "epochs do not go back")
            bad_if(rotated and caller not in ids(rotated), "the roster leaves the caller out")
            manifest = written(manifest, envelope, rotated or manifest.members, envelope.key_epoch)
            self.repositories[request.repo_id] = Repository(manifest, envelope)
        return messages.PushResponse(
            accepted=applies,
            conflict=not applies,
            payload_version=manifest.payload_version,
            key_epoch=manifest.key_epoch,
        )

    def add(self, request, caller):
        repository, member = self.repository(request, caller), request.member
        known = entry_of(repository, member.ed25519_public_key)
        if known:
            is_same = known.x25519_public_key == member.x25519_public_key
            bad_if(not is_same, "this member has another key")
            return repository.manifest
        manifest = with_roster(repository.manifest, [*repository.manifest.members, member])
        self.repositories[request.repo_id] = Repository(manifest, repository.envelope)
        return manifest

    def remove(self, request, caller):
        repository = self.repository(request, caller)
        if request == repository.last_removal:
            return repository.manifest
        is_there = entry_of(repository, request.removed_member_id)
        refuse_if(not is_there, StatusCode.NOT_FOUND, "no such member")
        roster, envelope, epoch = request.rewrapped_members, request.rotated_envelope, request.new_key_epoch
        bad_if(request.removed_member_id in ids(roster), "who is removed does not stay")
        bad_if(epoch <= repository.manifest.key_epoch, "the epoch grows")
        bad_if(envelope.key_epoch != epoch, "the envelope is of another epoch")
        manifest = written(repository.manifest, envelope, roster, epoch)
        self.repositories[request.repo_id] = Repository(manifest, envelope, request)
        return manifest

    def fetch(self, request, caller):
        entry = entry_of(self.repository(request, caller), request.member_id)
        refuse_if(entry is None, StatusCode.NOT_FOUND, "no such member")
        return entry


STORE = Store()


def method(act, needs_token=True):
    def answer(_service, request, context):
        try:
            with STORE.lock:
                caller = STORE.caller(context.invocation_metadata()) if needs_token else None
                return act(request, caller)
        except Refused as refused:
            context.abort(refused.status, str(refused))

    return answer


class Vault(services.VaultServicer):
    CreateRepo = method(STORE.create)
    Pull = method(STORE.pull)
    Push = method(STORE.push)
    AddMember = method(STORE.add)
    RemoveMember = method(STORE.remove)
    FetchMemberKey = method(STORE.fetch)


class Auth(services.AuthServicer):
    Challenge = method(STORE.challenge, needs_token=False)
    Token = method(STORE.token, needs_token=False)


def main():
    # Without reuse of the port, a second server at it fails instead of sharing it.
    options = [("grpc.so_reuseport", 0)]
    server = grpc.server(futures.ThreadPoolExecutor(CALLS_AT_ONCE), options=options)
    services.add_VaultServicer_to_server(Vault(), server)
    services.add_AuthServicer_to_server(Auth(), server)
    server.add_insecure_port(f"127.0.0.1:{os.environ.get('PORT', '50051')}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
