//! Freedoms of the identity provider: nonces, keys, signatures, tokens, discovery.

use crate::avp::server::deviation::variations;

variations! { "identity";
    Rule(LONG_NONCES) "long-nonces", "Nonces carry 64 bytes.";
    Rule(BURNT_NONCES) "burnt-nonces", "A failed attempt to redeem a nonce uses it up.";
    Rule(ONE_NONCE_PER_KEY) "one-nonce-per-key", "A new challenge for a key voids its outstanding nonce.";
    Rule(BAD_KEY_UNREDEEMABLE) "bad-key-unredeemable",
        "A public key that is none gets a challenge, which nobody can redeem.";
    Rule(BAD_SIGNATURE_FORM_401) "bad-signature-form-401",
        "A signature that is not base64 or not 64 bytes is refused with 401.";
    Rule(BAD_TOKEN_KEY_401) "bad-token-key-401", "The token route refuses a public key that is none with 401.";
    Rule(SMALL_ORDER_ACCEPTED) "small-order-accepted",
        "Public keys of small order are taken, and signatures under them hold.";
    Rule(JWT_TOKENS) "jwt-tokens", "Tokens are JWTs signed with EdDSA, and discovery names the issuer's keys.";
    Rule(LONG_TOKENS) "long-tokens", "Tokens are 2800 characters long.";
    Rule(ENDLESS_TOKENS) "endless-tokens", "Tokens are said to end in the year 9999.";
    Rule(SHORT_TOKENS) "short-tokens", "Tokens live three seconds.";
    Rule(BEARER_EXACT_CASE) "bearer-exact-case", "The scheme is Bearer, in exactly this case.";
    Rule(DISCOVERY_404) "discovery-404", "Discovery is not offered: 404.";
    Rule(DISCOVERY_401) "discovery-401", "Discovery is not offered, and unknown routes ask for a token: 401.";
    Rule(DISCOVERY_403) "discovery-403", "Discovery is not offered, and unknown routes are forbidden: 403.";
    Rule(DISCOVERY_405) "discovery-405", "Discovery is not offered, and GET is taken for a wrong method: 405.";
    Rule(DISCOVERY_FULL) "discovery-full",
        "The discovery document lists both profiles, the issuer's keys and fields of its own.";
}
