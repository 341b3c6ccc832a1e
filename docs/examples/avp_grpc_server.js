// A small AVP server over gRPC, in memory: `@grpc/grpc-js` and `@grpc/proto-loader`. It listens at $PORT, or 50051.
'use strict';

const crypto = require('node:crypto');
const path = require('node:path');
const { isDeepStrictEqual } = require('node:util');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const NONCE_MS = 120_000;
const TOKEN_MS = 3_600_000;
const { INVALID_ARGUMENT, UNAUTHENTICATED, PERMISSION_DENIED, NOT_FOUND, ALREADY_EXISTS, INTERNAL } = grpc.status;

// The protocol's schema stands beside this file, or where this repository has it.
const definition = protoLoader.loadSync('avp.proto', {
  includeDirs: [__dirname, path.join(__dirname, '../../schema')],
  keepCase: true,
  longs: String, // A number of JavaScript's holds 53 bits.
  defaults: true,
});
const { avp } = grpc.loadPackageDefinition(definition);

class Refused extends Error {
  constructor(code, text) {
    super(text);
    this.code = code;
  }
}

function refuseIf(condition, code, text) {
  if (condition) throw new Refused(code, text);
}

const badIf = (condition, text) => refuseIf(condition, INVALID_ARGUMENT, text);

// Buffer.from skips what is no base64, so the text is written again and compared.
function unbase64(text, what, length) {
  const bytes = Buffer.from(text, 'base64');
  badIf(bytes.toString('base64') !== text, `${what} is no base64`);
  badIf(length ? bytes.length !== length : bytes.length === 0, `${what} has ${bytes.length} bytes`);
  return bytes;
}

function checkEntry(entry) {
  badIf(!entry, 'member is missing');
  unbase64(entry.ed25519_public_key, 'ed25519_public_key', 32);
  unbase64(entry.x25519_public_key, 'x25519_public_key', 32);
  const wrapped = entry.wrapped_data_key;
  badIf(!wrapped, 'wrapped_data_key is missing');
  badIf(!wrapped.scheme_id, 'scheme_id is missing');
  unbase64(wrapped.ephemeral_public_key, 'ephemeral_public_key', 32);
  unbase64(wrapped.iv, 'iv', 12);
  unbase64(wrapped.ciphertext, 'ciphertext of the wrapped key', 48);
}

function checkEnvelope(envelope) {
  badIf(!envelope, 'envelope is missing');
  badIf(!envelope.repo_id, 'repo_id is missing');
  unbase64(envelope.iv, 'iv', 12);
  unbase64(envelope.ciphertext, 'ciphertext');
}

const idsOf = (entries) => entries.map((entry) => entry.ed25519_public_key);
const entryOf = (repository, id) =>
  repository.manifest.members.find((entry) => entry.ed25519_public_key === id);

const nonces = new Map();
const tokens = new Map();
const repositories = new Map();

function challenge({ ed25519_public_key: key }) {
  unbase64(key, 'ed25519_public_key', 32);
  const nonce = crypto.randomBytes(32).toString('base64');
  nonces.set(nonce, { key, expires: Date.now() + NONCE_MS });
  return { nonce };
}

function token({ ed25519_public_key: key, nonce, signature }) {
  const raw = unbase64(key, 'ed25519_public_key', 32);
  const signed = unbase64(nonce, 'nonce');
  const bytes = unbase64(signature, 'signature', 64);
  const issued = nonces.get(nonce);
  nonces.delete(nonce);
  const isOpen = issued && issued.key === key && Date.now() < issued.expires;
  refuseIf(!isOpen, UNAUTHENTICATED, 'no such nonce');
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') };
  const publicKey = crypto.createPublicKey({ key: jwk, format: 'jwk' });
  refuseIf(!crypto.verify(null, signed, publicKey, bytes), UNAUTHENTICATED, 'the signature does not hold');
  const text = crypto.randomBytes(32).toString('base64url');
  const expires = Date.now() + TOKEN_MS;
  tokens.set(text, { member: key, expires });
  return { token: text, expires_at: expires };
}

function callerOf(metadata) {
  const authorization = String(metadata.get('authorization')[0] ?? '');
  const found = authorization.startsWith('Bearer ') ? tokens.get(authorization.slice('Bearer '.length)) : undefined;
  refuseIf(!found || Date.now() >= found.expires, UNAUTHENTICATED, 'no valid token');
  return found.member;
}

function repositoryOf(request, caller) {
  const repository = repositories.get(request.repo_id);
  refuseIf(!repository, NOT_FOUND, 'no such repository');
  refuseIf(!entryOf(repository, caller), PERMISSION_DENIED, 'no member');
  return repository;
}

// The manifest with an envelope, a roster and an epoch in place of its own.
function written(manifest, envelope, members, epoch) {
  badIf(envelope.repo_id !== manifest.repo_id, 'the envelope is of another repository');
  badIf(BigInt(envelope.payload_version) <= BigInt(manifest.payload_version), 'versions only grow');
  badIf(new Set(idsOf(members)).size < members.length, 'a member stands in the roster twice');
  return { ...manifest, members, payload_version: envelope.payload_version, key_epoch: epoch };
}

function create({ manifest, initial_envelope: envelope }, caller) {
  badIf(!manifest, 'manifest is missing');
  badIf(!manifest.repo_id || !manifest.scheme_id, 'an id is missing');
  manifest.members.forEach(checkEntry);
  checkEnvelope(envelope);
  refuseIf(!isDeepStrictEqual(idsOf(manifest.members), [caller]), PERMISSION_DENIED, 'the roster is exactly the caller');
  refuseIf(repositories.has(manifest.repo_id), ALREADY_EXISTS, 'there is such a repository');
  for (const field of ['repo_id', 'payload_version', 'key_epoch']) {
    badIf(manifest[field] !== envelope[field], `manifest and envelope differ in ${field}`);
  }
  repositories.set(manifest.repo_id, { manifest, envelope });
  return manifest;
}

function pull(request, caller) {
  const { manifest, envelope } = repositoryOf(request, caller);
  const unchanged = request.known_payload_version === manifest.payload_version;
  return { manifest, envelope: unchanged ? null : envelope, unchanged };
}

function push(request, caller) {
  let { manifest } = repositoryOf(request, caller);
  const { envelope, rotated_members: rotated } = request;
  checkEnvelope(envelope);
  rotated.forEach(checkEntry);
  const applies = request.expected_payload_version === manifest.payload_version;
  if (applies) {
    badIf(BigInt(envelope.key_epoch) < BigInt(manifest.key_epoch), 'epochs do not go back');
    badIf(rotated.length > 0 && !idsOf(rotated).includes(caller), 'the roster leaves the caller out');
    const members = rotated.length > 0 ? rotated : manifest.members;
    manifest = written(manifest, envelope, members, envelope.key_epoch);
    repositories.set(request.repo_id, { manifest, envelope });
  }
  const { payload_version, key_epoch } = manifest;
  return { accepted: applies, conflict: !applies, payload_version, key_epoch };
}

function addMember(request, caller) {
  const { manifest, envelope } = repositoryOf(request, caller);
  const { member } = request;
  checkEntry(member);
  const known = entryOf({ manifest }, member.ed25519_public_key);
  if (known) {
    badIf(known.x25519_public_key !== member.x25519_public_key, 'this member has another key');
    return manifest;
  }
  const grown = { ...manifest, members: [...manifest.members, member] };
  repositories.set(request.repo_id, { manifest: grown, envelope });
  return grown;
}

function removeMember(request, caller) {
  const repository = repositoryOf(request, caller);
  if (isDeepStrictEqual(request, repository.lastRemoval)) return repository.manifest;
  const { removed_member_id: removed, rotated_envelope: envelope, rewrapped_members: members } = request;
  unbase64(removed, 'removed_member_id', 32);
  checkEnvelope(envelope);
  members.forEach(checkEntry);
  refuseIf(!entryOf(repository, removed), NOT_FOUND, 'no such member');
  badIf(idsOf(members).includes(removed), 'who is removed does not stay');
  const epoch = request.new_key_epoch;
  badIf(BigInt(epoch) <= BigInt(repository.manifest.key_epoch), 'the epoch grows');
  badIf(envelope.key_epoch !== epoch, 'the envelope is of another epoch');
  const manifest = written(repository.manifest, envelope, members, epoch);
  repositories.set(request.repo_id, { manifest, envelope, lastRemoval: request });
  return manifest;
}

function fetchMemberKey(request, caller) {
  const repository = repositoryOf(request, caller);
  badIf(!request.member_id, 'member_id is missing');
  const entry = entryOf(repository, request.member_id);
  refuseIf(!entry, NOT_FOUND, 'no such member');
  return entry;
}

function method(act, needsToken = true) {
  return (call, callback) => {
    try {
      const caller = needsToken ? callerOf(call.metadata) : undefined;
      callback(null, act(call.request, caller));
    } catch (error) {
      const code = error instanceof Refused ? error.code : INTERNAL;
      callback({ code, details: error.message });
    }
  };
}

const server = new grpc.Server();
server.addService(avp.Vault.service, {
  CreateRepo: method(create),
  Pull: method(pull),
  Push: method(push),
  AddMember: method(addMember),
  RemoveMember: method(removeMember),
  FetchMemberKey: method(fetchMemberKey),
});
server.addService(avp.Auth.service, {
  Challenge: method(challenge, false),
  Token: method(token, false),
});
const address = `127.0.0.1:${process.env.PORT ?? 50051}`;
server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
