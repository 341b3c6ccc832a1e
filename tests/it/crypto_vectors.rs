//! Known answers: the primitives against published vectors, and our own constructions against `schema/vectors.json`.
//!
//! `UPDATE=1 cargo test --test it crypto_vectors` writes that file anew; its diff is then for a person to read.

use avp_conform::avp::DEFAULT_SCHEME;
use avp_conform::avp::crypto::{
    DataKey, binding_message, open_payload, payload_aad, plant_accounts, seal_payload, sign_binding,
    verify_binding, wrap_key,
};
use avp_conform::keys::primitives::{
    aes_256_gcm_open, aes_256_gcm_seal, ed25519_verify, hkdf_sha256, x25519, x25519_of_secrets,
    x25519_public_key,
};
use avp_conform::keys::{Identity, Seed, SignatureForm, sign_nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::files::hold;

/// Bytes of hexadecimal digits; white space is skipped.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().unwrap()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// Ed25519: RFC 8032 section 7.1.

/// Secret key, public key, message, signature.
const ED25519: [[&str; 4]; 5] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
         d25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c\
         387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659\
         4a7c15e9716ed28dc027beceea1ec40a",
    ],
    [
        "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
        TEST_1024,
        "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350aa5371b1508f9f4528ecea23c436d94b\
         5e8fcd4f681e30a6ac00a9704a188a03",
    ],
    [
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd\
         454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030\
         3dca179c138ac17ad9bef1177331a704",
    ],
];

/// The message of TEST 1024: 1023 bytes.
const TEST_1024: &str = "\
    08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98fa6e264bf09efe12ee50f8f54e9f77b1 \
    e355f6c50544e23fb1433ddf73be84d879de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37c93a1b270b20329d \
    658675fc6ea534e0810a4432826bf58c941efb65d57a338bbd2e26640f89ffbc1a858efcb8550ee3a5e1998bd177e93a \
    7363c344fe6b199ee5d02e82d522c4feba15452f80288a821a579116ec6dad2b3b310da903401aa62100ab5d1a36553e \
    06203b33890cc9b832f79ef80560ccb9a39ce767967ed628c6ad573cb116dbefefd75499da96bd68a8a97b928a8bbc10 \
    3b6621fcde2beca1231d206be6cd9ec7aff6f6c94fcd7204ed3455c68c83f4a41da4af2b74ef5c53f1d8ac70bdcb7ed1 \
    85ce81bd84359d44254d95629e9855a94a7c1958d1f8ada5d0532ed8a5aa3fb2d17ba70eb6248e594e1a2297acbbb39d \
    502f1a8c6eb6f1ce22b3de1a1f40cc24554119a831a9aad6079cad88425de6bde1a9187ebb6092cf67bf2b13fd65f270 \
    88d78b7e883c8759d2c4f5c65adb7553878ad575f9fad878e80a0c9ba63bcbcc2732e69485bbc9c90bfbd62481d9089b \
    eccf80cfe2df16a2cf65bd92dd597b0707e0917af48bbb75fed413d238f5555a7a569d80c3414a8d0859dc65a46128ba \
    b27af87a71314f318c782b23ebfe808b82b0ce26401d2e22f04d83d1255dc51addd3b75a2b1ae0784504df543af8969b \
    e3ea7082ff7fc9888c144da2af58429ec96031dbcad3dad9af0dcbaaaf268cb8fcffead94f3c7ca495e056a9b47acdb7 \
    51fb73e666c6c655ade8297297d07ad1ba5e43f1bca32301651339e22904cc8c42f58c30c04aafdb038dda0847dd988d \
    cda6f3bfd15c4b4c4525004aa06eeff8ca61783aacec57fb3d1f92b0fe2fd1a85f6724517b65e614ad6808d6f6ee34df \
    f7310fdc82aebfd904b01e1dc54b2927094b2db68d6f903b68401adebf5a7e08d78ff4ef5d63653a65040cf9bfd4aca7 \
    984a74d37145986780fc0b16ac451649de6188a7dbdf191f64b5fc5e2ab47b57f7f7276cd419c17a3ca8e1b939ae49e4 \
    88acba6b965610b5480109c8b17b80e1b7b750dfc7598d5d5011fd2dcc5600a32ef5b52a1ecc820e308aa342721aac09 \
    43bf6686b64b2579376504ccc493d97e6aed3fb0f9cd71a43dd497f01f17c0e2cb3797aa2a2f256656168e6c496afc5f \
    b93246f6b1116398a346f1a641f3b041e989f7914f90cc2c7fff357876e506b50d334ba77c225bc307ba537152f3f161 \
    0e4eafe595f6d9d90d11faa933a15ef1369546868a7f3a45a96768d40fd9d03412c091c6315cf4fde7cb68606937380d \
    b2eaaa707b4c4185c32eddcdd306705e4dc1ffc872eeee475a64dfac86aba41c0618983f8741c5ef68d3a101e8a3b8ca \
    c60c905c15fc910840b94c00a0b9d0";

#[test]
fn ed25519_signs_as_rfc_8032_says() {
    for [secret, public_key, message, signature] in ED25519 {
        let actor = Identity::from_secrets(array(secret), [0; 32]);
        assert_eq!(STANDARD.decode(actor.member_id()).unwrap(), hex(public_key));
        assert_eq!(to_hex(&actor.sign(&hex(message))), signature);
        assert!(ed25519_verify(
            &array(public_key),
            &hex(message),
            &array(signature)
        ));
        assert!(!ed25519_verify(&array(public_key), b"other", &array(signature)));
    }
}

/// RFC 8032 section 5.1.7: S must lie below the group order. The second signature is the first with the order added.
#[test]
fn ed25519_refuses_s_plus_l() {
    let public_key = array("7d4d0e7f6153a69b6242b522abbee685fda4420f8834b108c3bdae369ef549fa");
    let signature = array(
        "7c38e026f29e14aabd059a0f2db8b0cd783040609a8be684db12f82a27774ab07a9155711ecfaf7f99f277bad0c6ae7e39d4eef676573336a5c51eb6f946b30d",
    );
    let malleated = array(
        "7c38e026f29e14aabd059a0f2db8b0cd783040609a8be684db12f82a27774ab067654bce3832c2d76f8f6f5dafc08d93\
         39d4eef676573336a5c51eb6f946b31d",
    );
    assert!(ed25519_verify(&public_key, b"Test", &signature));
    assert!(!ed25519_verify(&public_key, b"Test", &malleated));
}

// X25519: RFC 7748.

#[test]
fn x25519_multiplies_as_rfc_7748_section_5_2_says() {
    let vectors = [
        [
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ],
        [
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ],
    ];
    for [scalar, u, product] in vectors {
        assert_eq!(x25519(&array(scalar), &array(u)), Some(array(product)));
    }
}

#[test]
fn x25519_iterates_as_rfc_7748_section_5_2_says() {
    let mut k = array("0900000000000000000000000000000000000000000000000000000000000000");
    let mut u = k;
    for round in 1..=1000 {
        (k, u) = (x25519(&k, &u).unwrap(), k);
        if round == 1 {
            assert_eq!(
                to_hex(&k),
                "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
            );
        }
    }
    assert_eq!(
        to_hex(&k),
        "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"
    );
}

#[test]
fn x25519_agrees_as_rfc_7748_section_6_1_says() {
    let alice = array("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    let bob = array("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    let alice_public = array("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    let bob_public = array("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    let shared = Some(array(
        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
    ));
    assert_eq!(x25519_public_key(&alice), alice_public);
    assert_eq!(x25519_public_key(&bob), bob_public);
    assert_eq!(x25519(&alice, &bob_public), shared);
    assert_eq!(x25519(&bob, &alice_public), shared);
    assert_eq!(Some(x25519_of_secrets(&alice, &bob)), shared);
    let actor = Identity::from_secrets([0; 32], alice);
    assert_eq!(STANDARD.decode(actor.x25519_public_key()).unwrap(), alice_public);
}

/// RFC 7748 section 6.1: a zero secret shows a public key of small order.
#[test]
fn x25519_refuses_points_of_small_order() {
    let points = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for point in points {
        assert_eq!(x25519(&[1; 32], &array(point)), None, "{point}");
    }
}

// HKDF-SHA256: RFC 5869 appendix A.

#[test]
fn hkdf_expands_as_rfc_5869_says() {
    let run = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
    let a_1: [u8; 42] = hkdf_sha256(&[0x0b; 22], &run(0x00, 0x0c), &run(0xf0, 0xf9));
    assert_eq!(
        to_hex(&a_1),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    );
    let a_2: [u8; 82] = hkdf_sha256(&run(0x00, 0x4f), &run(0x60, 0xaf), &run(0xb0, 0xff));
    assert_eq!(
        to_hex(&a_2),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09\
         da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
    );
    let a_3: [u8; 42] = hkdf_sha256(&[0x0b; 22], b"", b"");
    assert_eq!(
        to_hex(&a_3),
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    );
}

// AES-256-GCM: test cases 13 to 16 of the GCM specification (McGrew, Viega), and one of NIST CAVP
// (gcmEncryptExtIV256, 128-bit plaintext, 128-bit additional data).

const GCM_KEY: &str = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
const GCM_PLAINTEXT: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6\
                             b525b16aedf5aa0de657ba637b391aafd255";
const GCM_CIPHERTEXT: &str = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b105682\
                              8838c5f61e6393ba7a0abcc9f662898015ad";

/// Key, iv, additional data, plaintext, ciphertext, tag.
const GCM: [[&str; 6]; 5] = [
    [
        ZERO_KEY,
        "000000000000000000000000",
        "",
        "",
        "",
        "530f8afbc74536b9a963b4f1c4cb738b",
    ],
    [
        ZERO_KEY,
        "000000000000000000000000",
        "",
        "00000000000000000000000000000000",
        "cea7403d4d606b6e074ec5d3baf39d18",
        "d0d1c8a799996bf0265b98b5d48ab919",
    ],
    [
        GCM_KEY,
        "cafebabefacedbaddecaf888",
        "",
        GCM_PLAINTEXT,
        GCM_CIPHERTEXT,
        "b094dac5d93471bdec1a502270e3cc6c",
    ],
    [
        GCM_KEY,
        "cafebabefacedbaddecaf888",
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        GCM_PLAINTEXT.split_at(120).0,
        GCM_CIPHERTEXT.split_at(120).0,
        "76fc6ece0f4e1768cddf8853bb2d551b",
    ],
    [
        "92e11dcdaa866f5ce790fd24501f92509aacf4cb8b1339d50c9c1240935dd08b",
        "ac93a1a6145299bde902f21a",
        "1e0889016f67601c8ebea4943bc23ad6",
        "2d71bcfa914e4ac045b2aa60955fad24",
        "8995ae2e6df3dbf96fac7b7137bae67f",
        "eca5aa77d51d4a0a14d9c51e1da474ab",
    ],
];

const ZERO_KEY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn aes_gcm_seals_as_its_specification_says() {
    for [key, iv, aad, plaintext, ciphertext, tag] in GCM {
        let (key, iv, aad) = (array(key), array(iv), hex(aad));
        let sealed = aes_256_gcm_seal(&key, &iv, &aad, &hex(plaintext));
        assert_eq!(to_hex(&sealed), format!("{ciphertext}{tag}"));
        assert_eq!(aes_256_gcm_open(&key, &iv, &aad, &sealed), Some(hex(plaintext)));
        assert_eq!(aes_256_gcm_open(&key, &iv, b"other", &sealed), None);
        assert_eq!(aes_256_gcm_open(&key, &iv, &aad, &sealed[1..]), None);
    }
}

// Our own constructions.

#[test]
fn our_vectors_have_not_drifted() {
    hold(
        "schema/vectors.json",
        &format!("{:#}\n", vectors()),
        "crypto_vectors",
    );
}

fn vectors() -> Value {
    let mut bytes = [0; 32];
    for (byte, value) in bytes.iter_mut().zip(0..) {
        *byte = value;
    }
    let seed = Seed::from_bytes(bytes);
    let identities = ["alice", "bob", "issuer"].map(|name| identity_vector(&seed, name));
    let aad = [("repo", 1, 1), ("r/é+=", i64::MAX, 2), ("", 0, -1)].map(aad_vector);
    let plaintexts = [
        ("repo", 1, 1, "{\"alts\":[],\"payloadVersion\":1}"),
        ("r/é+=", i64::MAX, 2, ""),
    ];
    let (members, policies) = (["alice", "bob"], [true, false]);
    json!({
        "about": "Inputs and outputs of the client side of AVP, for other implementations to reproduce. Fields of \
                  messages are as on the wire; every other binary value is hexadecimal. Seeds and labels are this \
                  harness's own: HKDF-SHA256 with the seed as key material, salt avp-conform/seed/v1 and, as info, each \
                  label after its length as a 32-bit big-endian number. The url-safe-base64 signature is another valid \
                  one than the first: it is chosen to hold a character in which the alphabets differ.",
        "seed": seed.to_string(),
        "derive": derive_vectors(&seed),
        "identities": identities,
        "aad": aad,
        "envelopes": plaintexts.map(|given| envelope_vector(&seed, given)),
        "wraps": members.map(|name| wrap_vector(&seed, name)),
        "bindings": members.map(|name| binding_vector(&seed, name)),
        "nonceSignatures": nonce_vector(&seed),
        "payloads": policies.map(|share| payload_vector(&seed, share)),
    })
}

fn actor(seed: &Seed, name: &str) -> Identity {
    Identity::derive(seed, &["actor", name])
}

fn data_key(seed: &Seed) -> DataKey {
    DataKey::derive(seed, &["repo"])
}

fn derive_vectors(seed: &Seed) -> Vec<Value> {
    let lists: [&[&str]; 5] = [&[], &[""], &["a", "b"], &["ab"], &["é"]];
    lists
        .iter()
        .map(|labels| json!({ "labels": labels, "bytes": to_hex(&seed.derive(labels)) }))
        .collect()
}

fn identity_vector(seed: &Seed, name: &str) -> Value {
    let actor = actor(seed, name);
    let [ed25519, x25519] = actor.secrets();
    json!({
        "labels": ["actor", name],
        "ed25519Secret": to_hex(&ed25519),
        "x25519Secret": to_hex(&x25519),
        "ed25519PublicKey": actor.member_id(),
        "x25519PublicKey": actor.x25519_public_key(),
    })
}

fn aad_vector((repo, version, epoch): (&str, i64, i64)) -> Value {
    json!({
        "repoId": repo,
        "payloadVersion": version,
        "keyEpoch": epoch,
        "aad": to_hex(&payload_aad(repo, version, epoch)),
    })
}

fn envelope_vector(seed: &Seed, (repo, version, epoch, plaintext): (&str, i64, i64, &str)) -> Value {
    let key = data_key(seed);
    let iv = seed.derive_iv(&["iv", repo]);
    let envelope = seal_payload(&key, repo, version, epoch, &iv, plaintext.as_bytes());
    assert_eq!(open_payload(&key, &envelope).unwrap(), plaintext.as_bytes());
    json!({
        "dataKeyLabels": ["repo", "data-key"],
        "dataKey": to_hex(key.as_bytes()),
        "plaintext": plaintext,
        "envelope": envelope,
    })
}

fn wrap_vector(seed: &Seed, name: &str) -> Value {
    let (member, key) = (actor(seed, name), data_key(seed));
    let ephemeral = seed.derive(&["ephemeral", name]);
    let iv = seed.derive_iv(&["wrap-iv", name]);
    let wrapped = wrap_key(&key, DEFAULT_SCHEME, &member, ephemeral, iv);
    assert_eq!(member.unwrap_key(&wrapped).as_ref(), Ok(key.as_bytes()));
    json!({
        "dataKey": to_hex(key.as_bytes()),
        "recipient": member.x25519_public_key(),
        "ephemeralSecret": to_hex(&ephemeral),
        "wrappedDataKey": wrapped,
    })
}

fn binding_vector(seed: &Seed, name: &str) -> Value {
    let (issuer, member) = (actor(seed, "issuer"), actor(seed, name));
    let (ed25519, x25519) = (member.member_id(), member.x25519_public_key());
    let signature = sign_binding(&issuer, ed25519, x25519);
    assert!(verify_binding(issuer.member_id(), ed25519, x25519, &signature));
    json!({
        "issuer": issuer.member_id(),
        "message": String::from_utf8(binding_message(ed25519, x25519)).unwrap(),
        "keyBindingSig": signature,
    })
}

fn nonce_vector(seed: &Seed) -> Value {
    let alice = actor(seed, "alice");
    let nonce = STANDARD.encode(seed.derive(&["nonce"]));
    let signatures = SignatureForm::ALL.map(|form| {
        let signature = sign_nonce(&alice, &nonce, form).unwrap();
        json!({ "form": form, "signature": signature })
    });
    json!({ "ed25519PublicKey": alice.member_id(), "nonce": nonce, "signatures": signatures })
}

fn payload_vector(seed: &Seed, share: bool) -> Value {
    let planted = plant_accounts(seed, &["repo"], share);
    json!({
        "labels": ["repo"],
        "payloadVersion": 1,
        "shareRefreshTokens": share,
        "plaintext": String::from_utf8(planted.payload(1)).unwrap(),
    })
}
