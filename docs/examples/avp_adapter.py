"""The adapter of avp_client.py: a JSON command a line on standard input, an answer a line on standard output.

The contract is schema/avp.adapter.schema.json. Try it: avp-conform client --adapter "python3 docs/examples/avp_adapter.py"
"""

import base64
import json
import sys

from avp_client import Conflict, Ed25519PrivateKey, Invalid, Member, Refused, Untrusted, X25519PrivateKey, unb64

KINDS = {Refused: "refused", Untrusted: "untrusted", Invalid: "invalid", Conflict: "conflict", OSError: "unreachable"}
members = {}


def write_token(message):
    return base64.urlsafe_b64encode(json.dumps(message, separators=(",", ":")).encode()).rstrip(b"=").decode()


def read_token(token):
    return json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))


def identity(name, server, ed25519Secret, x25519Secret, issuer=None):
    ed25519 = Ed25519PrivateKey.from_private_bytes(unb64(ed25519Secret))
    member = Member(server, ed25519, X25519PrivateKey.from_private_bytes(unb64(x25519Secret)))
    if name in members:
        member.tokens = members[name].tokens
    member.issuer = issuer
    members[name] = member
    return {"memberId": member.id, "x25519PublicKey": member.x25519_id}


def pull(member, repo, known=0):
    manifest, _, alts = member.pull(repo, known)
    told = {"payloadVersion": manifest["payloadVersion"], "keyEpoch": manifest["keyEpoch"], "unchanged": alts is None}
    return told if alts is None else told | {"alts": alts}


def read_address(address):
    host, repo = address.removeprefix("avp://").split("/", 1)
    return {"host": host, "repo": repo}


def act(name, verb, given):
    member = members.get(name)
    match verb:
        case "identity":
            return identity(name, **given)
        case "login":
            return member.login()
        case "create":
            return member.create(given["repo"], given["alts"], given.get("shareRefreshTokens"))
        case "pull":
            return pull(member, **given)
        case "save":
            return {"payloadVersion": member.save(given["repo"], given["alts"])}
        case "add":
            binding = given.get("keyBindingSig")
            return member.add(given["repo"], given["ed25519PublicKey"], given["x25519PublicKey"], binding)
        case "remove":
            return {"keyEpoch": member.remove(given["repo"], given["memberId"])}
        case "fetch":
            return {"x25519PublicKey": member.fetch(given["repo"], given["memberId"])["x25519PublicKey"]}
        case "write-invite":
            keys = {"ed25519PublicKey": member.id, "x25519PublicKey": member.x25519_id}
            return {"token": write_token({"v": 1} | keys)}
        case "read-invite":
            invite = read_token(given["token"])
            return {name: invite[name] for name in ("ed25519PublicKey", "x25519PublicKey")}
        case "write-locator":
            return {"token": write_token({"v": 1, "host": given["host"], "repoId": given["repo"]})}
        case "read-locator":
            locator = read_token(given["token"])
            return {"host": locator["host"], "repo": locator["repoId"]}
        case "write-address":
            return {"address": f"avp://{given['host']}/{given['repo']}"}
        case "read-address":
            return read_address(given["address"])


def answer(line):
    command = json.loads(line)
    [(verb, given)] = command["do"].items()
    try:
        return {"id": command["id"], "ok": act(command["as"], verb, given) or {}}
    except tuple(KINDS) as error:
        kind = next(kind for cause, kind in KINDS.items() if isinstance(error, cause))
        told = {"kind": kind, "message": str(error)}
        return {"id": command["id"], "error": told | ({"status": error.status} if kind == "refused" else {})}


for line in sys.stdin:
    print(json.dumps(answer(line)), flush=True)
