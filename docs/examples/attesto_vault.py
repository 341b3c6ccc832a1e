"""A small relay and witness of the Attesto Local Vault: what a program under test looks like.

Try it: avp-conform --protocol attesto --program "python3 docs/examples/attesto_vault.py"
"""

import argparse
import hashlib
import http.client
import json
import os
import secrets
import signal
import sqlite3
import ssl
import sys
import time
from datetime import datetime, timezone
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PREFIX = "ATTESTO_LOCAL_VAULT_"
ATTEMPT_SECONDS, STALE_SECONDS, MOST_ATTEMPTS, LONGEST_ANSWER = 20, 900, 8, 1 << 20
finish = False


def setting(option, name):
    value = option or os.environ.get(PREFIX + name)
    if not value:
        sys.exit(f"{PREFIX}{name} is not set")
    return value


def canon(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def when(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sign(tag, value):
    text = setting(None, "SIGNING_KEY")
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text))
    preimage = tag.encode() + b"\0" + canon(value)
    public = key.public_key().public_bytes_raw().hex()
    return hashlib.sha256(preimage).hexdigest(), key.sign(preimage).hex(), public


def database(path, schema):
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    db = sqlite3.connect(path, timeout=20, isolation_level=None)
    db.row_factory = sqlite3.Row
    db.execute(schema)
    return db


def spool(args):
    return database(
        setting(args.spool_db, "SPOOL_DB"),
        """CREATE TABLE IF NOT EXISTS item (event TEXT PRIMARY KEY, stream TEXT, source TEXT, sha TEXT, size INTEGER, sealed BLOB,
        created REAL, state TEXT DEFAULT 'queued', attempts INTEGER DEFAULT 0, due REAL DEFAULT 0, since REAL, UNIQUE (stream, source))""",
    )


def enqueue(args):
    with open(args.payload_file, "rb") as file:
        payload = json.load(file)
    if not isinstance(payload, dict):
        sys.exit("the payload is no object")
    text = canon(payload)
    db, sha = spool(args), hashlib.sha256(text).hexdigest()
    sealed = Fernet(setting(None, "ENCRYPTION_KEY")).encrypt(text)
    row = ("lv_" + secrets.token_hex(16), args.stream_id, args.source_ref, sha, len(text), sealed, time.time())
    db.execute("INSERT OR IGNORE INTO item (event, stream, source, sha, size, sealed, created) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    kept = db.execute("SELECT * FROM item WHERE stream = ? AND source = ?", row[1:3]).fetchone()
    if kept["sha"] != sha:
        sys.exit("another payload was enqueued under this reference")
    say({"eventId": kept["event"], "status": kept["state"]})


def endpoint(args):
    url = setting(args.endpoint_url, "RELAY_URL")
    parts = urlsplit(url)
    is_here = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme != "https" and not is_here:
        sys.exit("the endpoint is not https")
    if parts.username is not None or "?" in url or "#" in url:
        sys.exit("the endpoint has credentials, a query or a fragment")
    return parts


def post(parts, body, headers):
    """The status and the body of the answer, all of it within the time."""
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    more = {"context": ssl.create_default_context()} if parts.scheme == "https" else {}
    connection = kind(parts.hostname, parts.port, timeout=ATTEMPT_SECONDS / 2, **more)
    until, read = time.monotonic() + ATTEMPT_SECONDS, b""
    try:
        connection.request("POST", parts.path or "/", body, headers)
        answer = connection.getresponse()
        while piece := answer.read1(1 << 16):
            read += piece
            if len(read) > LONGEST_ANSWER or time.monotonic() > until:
                raise OSError("the answer does not end")
        if answer.length or (answer.chunked and answer.chunk_left is not None):
            raise OSError("the answer is cut")
        return answer.status, read
    finally:
        connection.close()


def is_hash(text):
    return isinstance(text, str) and len(text) == 64 and set(text) <= set("0123456789abcdef")


def objection(status, body, envelope, envelope_hash):
    """Why an answer is no acknowledgement; nothing where it is one."""
    if not 200 <= status < 300:
        return f"http-{status}"
    try:
        said = json.loads(body.decode())
        ack, payload = said["localVaultAck"], said["receipt"]["payload"]
        wanted = {
            "not-accepted": ack["accepted"] is True,
            "envelope-hash": ack["envelopeHash"] == envelope_hash,
            "stream": said["streamId"] == envelope["stream_id"] == payload["stream_id"],
            "event": payload["event_id"] == f"local-vault:{envelope['installation_id']}:{envelope['source_ref']}",
            "copies": [ack["installationId"], ack["eventId"], ack["sourceRef"]]
            == [envelope["installation_id"], envelope["event_id"], envelope["source_ref"]],
            "event-hash": is_hash(said["eventHash"]) and said["eventHash"] == payload["event_hash"],
            "receipt-hash": is_hash(said["receipt"]["receiptHash"]),
        }
    except (ValueError, KeyError, TypeError):
        return "ack-no-receipt"
    return next((f"ack-{name}" for name, holds in wanted.items() if not holds), None)


def drain_once(args):
    parts, db, now = endpoint(args), spool(args), time.time()
    db.execute("UPDATE item SET state = 'queued' WHERE state = 'inflight' AND since < ?", (now - STALE_SECONDS,))
    item = db.execute(
        """UPDATE item SET state = 'inflight', since = ?, attempts = attempts + 1 WHERE event = (SELECT event FROM item
        WHERE state = 'queued' AND due <= ? ORDER BY due, rowid LIMIT 1) RETURNING *""",
        (now, now),
    ).fetchone()
    if item is None:
        say({"sent": False, "eventId": None, "statusCode": None, "error": None})
        return False
    status, error = None, None
    try:
        payload = json.loads(Fernet(setting(None, "ENCRYPTION_KEY")).decrypt(item["sealed"]))
        envelope = {
            "protocol": "ATTESTO-LOCAL-VAULT-001",
            "protocol_version": "0.1",
            "installation_id": setting(args.installation_id, "INSTALLATION_ID"),
            "stream_id": item["stream"],
            "source_ref": item["source"],
            "event_id": item["event"],
            "payload_sha256": item["sha"],
            "payload_size": item["size"],
            "attempt": item["attempts"],
            "created_at": when(item["created"]),
            "signed_at": when(time.time()),
        }
        envelope_hash, signature, public = sign("attesto.local_vault.relay", envelope)
        headers = {
            "Content-Type": "application/json",
            "X-Attesto-Local-Vault-Envelope-Hash": envelope_hash,
            "X-Attesto-Local-Vault-Signature": signature,
            "X-Attesto-Local-Vault-Public-Key": public,
        }
        status, body = post(parts, json.dumps({"envelope": envelope, "payload": payload}).encode(), headers)
        error = objection(status, body, envelope, envelope_hash)
    except (OSError, http.client.HTTPException, InvalidToken) as problem:
        error = type(problem).__name__
    if error is None:
        state, due = "delivered", now
    else:
        state = "dead" if item["attempts"] >= MOST_ATTEMPTS else "queued"
        due = time.time() + min(3600, 2 ** min(item["attempts"], 10))
    db.execute("UPDATE item SET state = ?, due = ? WHERE event = ?", (state, due, item["event"]))
    say({"sent": error is None, "eventId": item["event"], "statusCode": status, "error": error})
    return True


def drain_loop(args):
    def end(*_):
        global finish
        finish = True

    signal.signal(signal.SIGTERM, end)
    iterations = 0
    while not finish and (args.max_iterations is None or iterations < args.max_iterations):
        was_due = drain_once(args)
        iterations += 1
        until = time.monotonic() + args.idle_sleep_seconds
        while not was_due and not finish and time.monotonic() < until:
            time.sleep(0.05)


def witness(args):
    hashes = [args.checkpoint_hash] + ([args.previous_checkpoint_hash] if args.previous_checkpoint_hash else [])
    if args.checkpoint_seq_no < 1 or not all(map(is_hash, hashes)):
        sys.exit("this is no checkpoint")
    scope = {
        "protocol": "ATTESTO-PROOFSTREAM-001",
        "protocol_version": "0.1-alpha",
        "witness_id": setting(args.witness_id, "WITNESS_ID"),
        "tenant_id": args.tenant_id,
        "stream_id": args.stream_id,
    }
    key_id = setting(args.key_id, "KEY_ID")
    place = (scope["witness_id"], scope["tenant_id"], scope["stream_id"])
    db = database(
        setting(args.witness_db, "WITNESS_DB"),
        "CREATE TABLE IF NOT EXISTS seen (witness TEXT, tenant TEXT, stream TEXT, number INTEGER, id TEXT, hash TEXT, previous TEXT, receipt TEXT)",
    )
    db.execute("BEGIN IMMEDIATE")
    of_scope = "SELECT * FROM seen WHERE witness = ? AND tenant = ? AND stream = ?"
    last = db.execute(of_scope + " ORDER BY rowid DESC LIMIT 1", place).fetchone()
    known = db.execute(of_scope + " AND number = ?", (*place, args.checkpoint_seq_no)).fetchone()
    own = (args.checkpoint_seq_no, args.checkpoint_id, args.checkpoint_hash, args.previous_checkpoint_hash)

    def signed(tag, value):
        digest, signature, public = sign(tag, value)
        key = {"alg": "ed25519", "kid": key_id, "key_epoch": key_id}
        return digest, {"signature": key | {"signature_hex": signature}, "public_key": key | {"public_key_hex": public}}

    if last and (last["number"], last["id"], last["hash"], last["previous"]) == own:
        return say({"accepted": True, "replayed": True, "receipt": json.loads(last["receipt"]), "forkEvidence": None})
    if last and not (args.checkpoint_seq_no > last["number"] and args.previous_checkpoint_hash == last["hash"]):
        evidence = scope | {
            "reason": "conflicting-checkpoint",
            "last_checkpoint_id": last["id"],
            "last_checkpoint_seq_no": last["number"],
            "last_checkpoint_hash": last["hash"],
            "known_checkpoint_hash": known and known["hash"],
            "submitted_checkpoint_id": args.checkpoint_id,
            "submitted_checkpoint_seq_no": args.checkpoint_seq_no,
            "submitted_checkpoint_hash": args.checkpoint_hash,
            "submitted_previous_checkpoint_hash": args.previous_checkpoint_hash,
            "created_at": when(time.time()),
        }
        digest, signatures = signed("attesto.v2.fork", evidence)
        fork = {"fork_evidence_id": "lwf_" + secrets.token_hex(16), "evidence_hash": digest, "evidence": evidence} | signatures
        return say({"accepted": False, "replayed": False, "receipt": None, "forkEvidence": fork})
    checkpoint = {
        "checkpoint_id": args.checkpoint_id,
        "checkpoint_seq_no": args.checkpoint_seq_no,
        "checkpoint_hash": args.checkpoint_hash,
        "previous_checkpoint_hash": args.previous_checkpoint_hash,
    }
    statement = scope | checkpoint | {"key_epoch": key_id, "accepted_at": when(time.time())}
    digest, signatures = signed("attesto.v2.witness", statement)
    outer = {name: scope[name] for name in ("witness_id", "tenant_id", "stream_id")}
    receipt = {"witness_receipt_id": "lwr_" + secrets.token_hex(16)} | outer | checkpoint
    receipt |= {"statement": statement, "statement_hash": digest, "canonical_json_hex": canon(statement).hex()} | signatures
    db.execute("INSERT INTO seen VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*place, *own, json.dumps(receipt)))
    db.execute("COMMIT")
    say({"accepted": True, "replayed": False, "receipt": receipt, "forkEvidence": None})


def say(line):
    print(json.dumps(line), flush=True)


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--spool-db")
    parser.add_argument("--witness-db")
    commands = parser.add_subparsers(required=True)

    def command(name, work, required=(), optional=()):
        sub = commands.add_parser(name)
        sub.set_defaults(work=work)
        for option in required:
            sub.add_argument(option, required=True, type=int if option.endswith("seq-no") else str)
        for option in optional:
            sub.add_argument(option)
        return sub

    target = ["--endpoint-url", "--installation-id", "--key-id"]
    command("enqueue-json", enqueue, ["--stream-id", "--source-ref", "--payload-file"])
    command("drain-once", drain_once, optional=target)
    loop = command("drain-loop", drain_loop, optional=target)
    loop.add_argument("--idle-sleep-seconds", type=float, default=5)
    loop.add_argument("--max-iterations", type=int)
    loop.add_argument("--stop-on-error", action="store_true")
    names = ["--tenant-id", "--stream-id", "--checkpoint-id", "--checkpoint-seq-no", "--checkpoint-hash"]
    command("witness-checkpoint", witness, names, ["--previous-checkpoint-hash", "--witness-id", "--key-id"])
    return parser.parse_args()


if __name__ == "__main__":
    given = options()
    given.work(given)
