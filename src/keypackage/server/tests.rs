//! One run through the registry by direct calls: the plain server and every variation come through it, and every fault is
//! seen in it. It knows nothing of the cases, so that the two agree only where both are right.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::faults::GROUP_ORDER;
use super::rules::name as hex;
use super::{Registry, faults, variations};
use crate::serve::{Asked, Behaviour, Handler as _, Reply, ServeOptions};

/// A device, and what it signs.
struct Device(SigningKey);

impl Device {
    fn new(number: u8) -> Device {
        Device(SigningKey::from_bytes(&[number; 32]))
    }

    fn id(&self) -> String {
        hex(&self.0.verifying_key().to_bytes())
    }

    fn signature(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).to_bytes()
    }

    /// A publication of these bytes, signed.
    fn publication(&self, payload: &[u8]) -> Value {
        request(&self.id(), payload, &self.signature(payload))
    }
}

fn request(id: &str, payload: &[u8], signature: &[u8]) -> Value {
    json!({
        "device_id": id,
        "payload": STANDARD.encode(payload),
        "signature": STANDARD.encode(signature),
    })
}

/// A payload that begins with a time, epoch milliseconds; its base64 is another in the URL alphabet.
fn timed(time_ms: u64, rest: &[u8]) -> Vec<u8> {
    [&time_ms.to_le_bytes()[..], &[0xfb, 0xff, 0x00, 0xfe], rest].concat()
}

/// What is asked of a registry, and what in its answers is not as it has to be.
struct Visit<'a> {
    registry: &'a Registry,
    wrong: Vec<String>,
}

impl Visit<'_> {
    fn ask(&mut self, what: &str, method: &str, path: &str, body: &[u8], allowed: &[u16]) -> Reply {
        let asked = Asked {
            method: method.to_owned(),
            path: path.to_owned(),
            content_type: "application/json".to_owned(),
            body: Some(Bytes::copy_from_slice(body)),
            ..Asked::default()
        };
        let mut reply = self.registry.answer(&asked);
        if reply.status == 429 && reply.headers.iter().any(|(name, _)| *name == "retry-after") {
            reply = self.registry.answer(&asked);
        }
        if !allowed.contains(&reply.status) {
            self.wrong.push(format!("{what}: {}", reply.status));
        }
        if reply.status == 204 && !reply.body.is_empty() {
            self.wrong.push(format!("{what}: 204 with a body"));
        }
        if reply.status == 405 && !reply.headers.iter().any(|(name, _)| *name == "allow") {
            self.wrong.push(format!("{what}: 405 without Allow"));
        }
        reply
    }

    fn send(&mut self, what: &str, body: &[u8], allowed: &[u16]) {
        self.ask(what, "POST", "/v0/keypackage", body, allowed);
    }

    fn publish(&mut self, what: &str, device: &Device, payload: &[u8]) {
        self.send(what, device.publication(payload).to_string().as_bytes(), &[204]);
    }

    fn refused(&mut self, what: &str, body: &Value) {
        self.send(what, body.to_string().as_bytes(), &[400]);
    }

    fn nothing(&mut self, what: &str, id: &str, allowed: &[u16]) {
        self.ask(what, "GET", &format!("/v0/keypackage/{id}"), b"", allowed);
    }

    /// One of these payloads is served, with the device's signature over it.
    fn served(&mut self, what: &str, device: &Device, payloads: &[&[u8]]) {
        let reply = self.ask(
            what,
            "GET",
            &format!("/v0/keypackage/{}", device.id()),
            b"",
            &[200],
        );
        let bundle: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let bytes = |name: &str| bundle[name].as_str().and_then(|text| STANDARD.decode(text).ok());
        let payload = bytes("payload");
        let is_one = payload
            .as_ref()
            .is_some_and(|payload| payloads.contains(&payload.as_slice()));
        let is_signed =
            payload.is_some_and(|payload| bytes("signature") == Some(device.signature(&payload).to_vec()));
        if !is_one || !is_signed {
            self.wrong.push(format!("{what}: {bundle}"));
        }
        let is_json =
            |(name, value): &(&str, String)| *name == "content-type" && value.starts_with("application/json");
        if !reply.headers.iter().any(is_json) {
            self.wrong.push(format!("{what}: not application/json"));
        }
    }

    fn malformed(&mut self, device: &Device) {
        let payload = timed(1, b"malformed");
        let signature = device.signature(&payload);
        let good = device.publication(&payload);
        let with = |name: &str, value: Value| {
            let mut body = good.clone();
            body[name] = value;
            body
        };
        let without = |name: &str| {
            let mut body = good.clone();
            let members = body.as_object_mut().unwrap();
            members.shift_remove(name).unwrap();
            body
        };
        let id = device.id();
        for odd in [
            "",
            "00",
            &id[..62],
            &format!("{id}00"),
            &format!("{}zz", &id[..62]),
            &format!("é{}", &id[2..]),
            &format!(" {id} "),
            &format!("{id}\n"),
        ] {
            self.refused("device id", &with("device_id", odd.into()));
        }
        self.refused("payload not base64", &with("payload", "%%".into()));
        self.refused(
            "payload unpadded",
            &with("payload", STANDARD_NO_PAD.encode([1]).into()),
        );
        let unpadded = json!({
            "device_id": id,
            "payload": STANDARD_NO_PAD.encode(b"unpadded"),
            "signature": STANDARD.encode(device.signature(b"unpadded")),
        });
        self.refused("payload unpadded and signed", &unpadded);
        let url_safe = with("payload", URL_SAFE.encode(&payload).into());
        self.refused("payload in the URL-safe alphabet", &url_safe);
        self.refused("signature not base64", &with("signature", "%%".into()));
        self.refused(
            "signature short",
            &with("signature", STANDARD.encode(&signature[..63]).into()),
        );
        let longer = [&signature[..], &[0]].concat();
        self.refused(
            "signature long",
            &with("signature", STANDARD.encode(longer).into()),
        );
        for name in ["device_id", "payload", "signature"] {
            self.refused("member missing", &without(name));
            for other in [Value::Null, 7.into(), json!([1]), json!({}), true.into()] {
                self.refused("member of another type", &with(name, other));
            }
        }
        let mut null = with("payload", Value::Null);
        null["signature"] = STANDARD.encode(device.signature(b"")).into();
        self.refused("null for an empty payload", &null);
        let id_with_colons: Vec<&str> = id
            .as_bytes()
            .chunks(2)
            .map(|two| std::str::from_utf8(two).unwrap())
            .collect();
        let signed = |payload: Value, bytes: &[u8]| json!({ "device_id": id, "payload": payload, "signature": STANDARD.encode(device.signature(bytes)) });
        let payload_text = STANDARD.encode(&payload);
        for (what, body) in [
            ("colons", with("device_id", id_with_colons.join(":").into())),
            ("junk", with("payload", format!("!{payload_text}").into())),
            ("a number", signed(1234.into(), &STANDARD.decode("1234").unwrap())),
            ("bytes", with("payload", json!(payload))),
            (
                "lists of one",
                json!({ "device_id": [id], "payload": [payload_text], "signature": [good["signature"]] }),
            ),
            (
                "capitals",
                json!({ "Device_id": id, "Payload": payload_text, "Signature": good["signature"] }),
            ),
            (
                "an absent payload",
                json!({ "device_id": id, "signature": STANDARD.encode(device.signature(b"")) }),
            ),
        ] {
            self.refused(what, &body);
        }
        let text = good.to_string();
        let deep = ["[".repeat(10_000), "]".repeat(10_000)].concat();
        let array = json!([good["device_id"], good["payload"], good["signature"]]);
        self.refused("array", &array);
        let twice = format!("{{\"payload\":\"\",{}", &text[1..]);
        for body in [
            "",
            "{",
            "nul",
            "\u{feff}{}",
            &format!("{text} x"),
            &format!("{text}{text}"),
            &twice,
            &deep,
        ] {
            self.send("not JSON", body.as_bytes(), &[400]);
        }
        self.send("no text", b"{\"device_id\":\"\xff\"}", &[400]);
    }

    fn forged(&mut self, device: &Device, other: &Device) {
        let payload = timed(2, b"forged");
        let good = device.signature(&payload);
        let text = STANDARD.encode(&payload);
        let key = device.0.verifying_key().to_bytes();
        let mut altered = good;
        altered[40] ^= 1;
        let mut altered_r = good;
        altered_r[3] ^= 1;
        let signatures = [
            ("zero", [0; 64]),
            ("altered S", altered),
            ("altered R", altered_r),
            ("by another", other.signature(&payload)),
            ("by nobody", Device::new(99).signature(&payload)),
            ("over another payload", device.signature(b"other")),
            ("over the text", device.signature(text.as_bytes())),
            ("over the digest", device.signature(&Sha256::digest(&payload))),
            (
                "over id and payload",
                device.signature(&[&key[..], &payload].concat()),
            ),
            ("with the order added to S", plus_order(good)),
        ];
        for (what, signature) in signatures {
            self.refused(what, &request(&device.id(), &payload, &signature));
        }
        // No x goes with y = 2.
        let mut no_point = [0; 32];
        no_point[0] = 2;
        self.refused("no point", &request(&hex(&no_point), &payload, &good));
        // y = 1, and the same point with y not reduced: R = the point, S = 0 is taken by whoever verifies laxly.
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut unreduced = [0xff; 32];
        (unreduced[0], unreduced[31]) = (0xee, 0x7f);
        let mut forgery = [0; 64];
        forgery[0] = 1;
        for key in [identity, unreduced] {
            self.refused("small order", &request(&hex(&key), &payload, &forgery));
            self.nothing("small order", &hex(&key), &[404, 400]);
        }
    }

    /// Publications that are written in another way, and sound.
    fn written_otherwise(&mut self, device: &Device) {
        for (content_type, coding, body) in [
            (
                "application/json; charset=utf-8",
                None,
                device.publication(b"charset").to_string(),
            ),
            (
                "APPLICATION/JSON",
                None,
                device.publication(b"capitals").to_string(),
            ),
            (
                "application/json",
                Some("chunked"),
                device.publication(b"chunked").to_string(),
            ),
        ] {
            let coding = coding.map(|coding| ("transfer-encoding".to_owned(), coding.to_owned()));
            let asked = Asked {
                method: "POST".to_owned(),
                path: "/v0/keypackage".to_owned(),
                headers: coding.into_iter().collect(),
                content_type: content_type.to_owned(),
                body: Some(body.into()),
                ..Asked::default()
            };
            let mut reply = self.registry.answer(&asked);
            if reply.status == 429 {
                reply = self.registry.answer(&asked);
            }
            if reply.status != 204 {
                self.wrong.push(format!("{content_type}: {}", reply.status));
            }
        }
        let plain = device.publication(b"escapes").to_string();
        self.send(
            "escapes",
            plain.replace("device", "d\\u0065vice").as_bytes(),
            &[204],
        );
        let body = device.publication(b"turned");
        let turned = json!({
            "signature": body["signature"], "payload": body["payload"], "device_id": body["device_id"],
        });
        self.send("turned round", turned.to_string().as_bytes(), &[204]);
        self.served("turned round", device, &[b"turned"]);
        self.publish("a time", device, &timed(9, b"one"));
        self.publish("the same time", device, &timed(9, b"two"));
        self.served("the same time", device, &[&timed(9, b"two")]);
    }

    /// All of it, from an empty registry on.
    fn all(&mut self) {
        let [alice, bob, mallory] = [1, 2, 3].map(Device::new);
        self.nothing("nobody has published", &alice.id(), &[404]);
        for odd in [
            "",
            "abc",
            "%C3%A9%00",
            "é",
            &alice.id()[1..],
            &format!("{}0", alice.id()),
        ] {
            self.nothing("no device id", odd, &[404, 400]);
        }
        self.publish("nobody in particular", &Device::new(6), b"nobody");
        let id = Device::new(6).id();
        let last = if id.ends_with('0') { "1" } else { "0" };
        for odd in [&id[..62], &format!("{}{last}", &id[..63]), "%25", &"_".repeat(64)] {
            self.nothing("nearly an id", odd, &[404, 400]);
        }
        let other = request(&alice.id(), b"nobody", &Device::new(6).signature(b"nobody"));
        self.refused("a bundle of another device", &other);
        let other = request(&id, b"another", &Device::new(6).signature(b"nobody"));
        self.refused("a signature that was taken before", &other);
        let mut half = Device::new(6).signature(b"nobody");
        half[40] ^= 1;
        self.refused("half a signature", &request(&id, b"nobody", &half));
        self.written_otherwise(&Device::new(7));
        let (first, second) = (timed(u64::MAX, b"first"), timed(5, b"second"));
        self.publish("first", &alice, &first);
        self.served("first", &alice, &[&first]);
        self.nothing("bob has not published", &bob.id(), &[404]);
        self.publish("second", &alice, &second);
        self.served("second", &alice, &[&second]);
        let mut known = alice.publication(&second);
        known["signature"] = STANDARD.encode(alice.signature(b"other")).into();
        self.refused("a known payload with another signature", &known);
        self.served("after a known payload", &alice, &[&second]);
        self.publish("again", &alice, &first);
        self.served("again", &alice, &[&first, &second]);
        self.publish("second again", &alice, &second);
        self.publish("bob", &bob, &timed(6, b"bob"));
        self.served("alice is not bob", &alice, &[&second]);
        self.publish("mallory", &mallory, b"mallory's");
        self.forged(&alice, &mallory);
        self.malformed(&alice);
        self.served("after what was refused", &alice, &[&second]);
        self.forged(&Device::new(4), &mallory);
        self.malformed(&Device::new(4));
        self.nothing("only refused ones", &Device::new(4).id(), &[404]);
        for payload in [&[][..], &[0], &[0xff; 7], &[0xff; 8], &[0; 4096]] {
            self.publish("any payload", &alice, payload);
            self.served("any payload", &alice, &[payload]);
        }
        let large = Device::new(5).publication(&vec![7; 100_000]);
        self.send("large payload", large.to_string().as_bytes(), &[204, 413]);
        for number in 0..12_u8 {
            self.publish("often", &alice, &timed(u64::from(number), b"often"));
        }
        self.served("the newest of many", &alice, &[&timed(11, b"often")]);
        self.served("bob is still there", &bob, &[&timed(6, b"bob")]);
        self.upper_case(&bob);
        self.ask("method", "DELETE", "/v0/keypackage/00", b"", &[405]);
        self.ask("method", "GET", "/v0/keypackage", b"", &[405]);
        self.ask("route", "GET", "/v0/other", b"", &[404]);
        self.ask(
            "head",
            "HEAD",
            &format!("/v0/keypackage/{}", bob.id()),
            b"",
            &[200, 405],
        );
    }

    /// The same device, or refused; not a device of its own.
    fn upper_case(&mut self, device: &Device) {
        let (before, after) = (timed(6, b"bob"), timed(7, b"upper"));
        let mut body = device.publication(&after);
        body["device_id"] = device.id().to_uppercase().into();
        self.send("upper case", body.to_string().as_bytes(), &[204, 400]);
        let path = format!("/v0/keypackage/{}", device.id().to_uppercase());
        let upper = self.ask("upper case", "GET", &path, b"", &[200, 400, 404]);
        match upper.status == 200 {
            true => self.served("lower case after upper", device, &[&after]),
            false => self.served("lower case after upper was refused", device, &[&before]),
        }
    }
}

fn plus_order(mut signature: [u8; 64]) -> [u8; 64] {
    let mut carry = 0_u16;
    for (byte, order) in signature[32..].iter_mut().zip(GROUP_ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    signature
}

/// What is wrong with the answers of a registry that behaves so.
fn wrong(behaviour: Behaviour) -> (Vec<String>, Registry) {
    let mut registry = Registry::new(&ServeOptions {
        behaviour,
        ..ServeOptions::default()
    })
    .unwrap();
    registry.clock = || 1_700_000_000_000;
    let mut visit = Visit {
        registry: &registry,
        wrong: Vec::new(),
    };
    visit.all();
    (visit.wrong, registry)
}

#[test]
fn the_plain_registry_answers_as_it_has_to() {
    assert_eq!(wrong(Behaviour::Plain).0, Vec::<String>::new());
}

#[test]
fn every_variation_answers_as_it_may() {
    for variation in variations() {
        assert_eq!(
            wrong(Behaviour::Varied(variation)).0,
            Vec::<String>::new(),
            "{}",
            variation.name
        );
    }
}

#[test]
fn every_fault_takes_effect_and_is_seen() {
    let not_seen = |name: &str, wrong: &[String], fired: u64| match (wrong.is_empty(), fired) {
        (false, 1..) => None,
        (is_unseen, fired) => Some(format!("{name}: fired {fired}, unseen {is_unseen}")),
    };
    // Nobody publishes at the same moment or often here, no time passes, and nothing is started again: the self-test does all of it.
    let alone = faults().iter().filter(|fault| {
        let is_of_retention = fault.breaks.iter().any(|id| id.starts_with("KPR-RET-"));
        fault.name != "busy-500" && !is_of_retention
    });
    let found = alone.filter_map(|fault| {
        let (wrong, registry) = wrong(Behaviour::Faulty(fault));
        not_seen(fault.name, &wrong, registry.fired(fault.name))
    });
    assert_eq!(found.collect::<BTreeSet<_>>(), BTreeSet::new());
}

#[test]
fn what_is_published_and_served_is_what_the_schema_says() {
    let schema: Value = serde_json::from_str(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/schema/keypackage.schema.json"
    )))
    .unwrap();
    let is_valid = |message: &str, body: &Value| {
        let mut rooted = schema.clone();
        rooted["$ref"] = format!("#/$defs/{message}").into();
        jsonschema::is_valid(&rooted, body)
    };
    let device = Device::new(1);
    let body = device.publication(b"payload");
    assert!(is_valid("PublishRequest", &body));
    let registry = Registry::new(&ServeOptions::default()).unwrap();
    let mut visit = Visit {
        registry: &registry,
        wrong: Vec::new(),
    };
    visit.publish("published", &device, b"payload");
    let path = format!("/v0/keypackage/{}", device.id());
    let served = visit.ask("served", "GET", &path, b"", &[200]);
    assert_eq!(visit.wrong, Vec::<String>::new());
    let bundle: Value = serde_json::from_slice(&served.body).unwrap();
    assert!(is_valid("Bundle", &bundle));
    assert!(!is_valid("PublishRequest", &bundle));
    assert!(!is_valid("Bundle", &json!({ "payload": null, "signature": "" })));
}
