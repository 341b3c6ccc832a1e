//! How a server lets in whom it should not, or refuses whom it should let in.

use super::answers::restated;
use crate::catalogue::Level::{Must, Should};
use crate::omp::server::Server;
use crate::omp::server::admission::{Lack, Look, looks};
use crate::omp::server::answer::Answer;
use crate::omp::server::operations;
use crate::omp::server::rules::addresses::decoded;
use crate::omp::server::rules::signatures::Labels;
use crate::serve::Asked;
use crate::serve::{Fault, fault};

/// What a mode makes of a request.
pub(super) const MODES: &[Fault] = &[
    fault(
        "off-looks-at-the-syntax",
        "signatures",
        &["OMP-SIG-01"],
        Must,
        "Without a mode, malformed headers are refused.",
        "Clients behind proxies that add headers are locked out.",
        "Do nothing in mode off.",
    ),
    fault(
        "permissive-verifies",
        "signatures",
        &["OMP-SIG-02"],
        Must,
        "permissive refuses signatures that do not verify.",
        "A migration locks clients out.",
        "Look at the syntax alone.",
    ),
    fault(
        "permissive-wants-headers",
        "signatures",
        &["OMP-SIG-02"],
        Must,
        "permissive refuses requests without headers.",
        "A migration locks clients out.",
        "Serve requests without headers.",
    ),
    fault(
        "permissive-takes-malformed-headers",
        "signatures",
        &["OMP-SIG-03"],
        Must,
        "permissive serves requests with malformed headers.",
        "Clients find out in strict mode only.",
        "Answer 400.",
    ),
    fault(
        "components-are-malformed",
        "signatures",
        &["OMP-SIG-04"],
        Should,
        "permissive calls covered components malformed.",
        "Clients that sign by RFC 9421 are locked out.",
        "Read the whole syntax of RFC 9421.",
    ),
    fault(
        "strict-leaves-the-list-open",
        "signatures",
        &["OMP-SIG-05"],
        Must,
        "strict lists objects without a signature.",
        "Anybody sees what is stored.",
        "Guard every route of objects.",
    ),
    fault(
        "strict-leaves-the-search-open",
        "signatures",
        &["OMP-SIG-05"],
        Must,
        "strict searches without a signature.",
        "Anybody sees what is stored.",
        "Guard every route of objects.",
    ),
    fault(
        "strict-leaves-delete-open",
        "signatures",
        &["OMP-SIG-05"],
        Must,
        "strict deletes without a signature.",
        "Anybody can delete everything.",
        "Guard every route of objects.",
    ),
    fault(
        "strict-leaves-head-open",
        "signatures",
        &["OMP-SIG-05"],
        Must,
        "HEAD is answered without a signature.",
        "Anybody sees which objects there are.",
        "Guard every route of objects, whatever the method.",
    ),
    fault(
        "strict-malformed-401",
        "signatures",
        &["OMP-SIG-06"],
        Must,
        "strict answers malformed headers 401.",
        "Clients look for the wrong mistake.",
        "Answer 400.",
    ),
    fault(
        "unknown-keys-403",
        "signatures",
        &["OMP-SIG-07"],
        Must,
        "An unknown key id is answered 403.",
        "Clients look for the wrong mistake.",
        "Answer 401.",
    ),
    fault(
        "unknown-keys-are-taken",
        "signatures",
        &["OMP-SIG-07"],
        Must,
        "A signature under an unknown key id is not verified, and let in.",
        "Anybody is let in.",
        "Refuse key ids that are not known.",
    ),
    fault(
        "unknown-keys-are-the-first",
        "signatures",
        &["OMP-SIG-07"],
        Must,
        "A key id that is not known is taken for that of the first key.",
        "A key that was taken away from the list still opens the server.",
        "Refuse key ids that are not known.",
    ),
    fault(
        "key-ids-by-their-beginnings",
        "signatures",
        &["OMP-SIG-07"],
        Must,
        "A key is found by the beginning of its id.",
        "One client is taken for another.",
        "Compare key ids whole.",
    ),
    fault(
        "a-sole-key-for-every-id",
        "signatures",
        &["OMP-SIG-07"],
        Must,
        "A server that knows one key takes it for every key id.",
        "A client whose key was taken away signs under any name.",
        "Look the key up by keyid, also where there is one alone.",
    ),
    fault(
        "key-ids-end-at-a-hash",
        "signatures",
        &["OMP-SIG-07"],
        Must,
        "A key id is cut at #.",
        "One key has many ids.",
        "Compare key ids whole.",
    ),
    fault(
        "inherited-key-ids-500",
        "signatures",
        &["OMP-SIG-07", "OMP-ERR-03"],
        Must,
        "A key id that is a name of every object is answered 500.",
        "Anybody can make the server fail.",
        "Look keys up in a map that inherits nothing.",
    ),
    fault(
        "guards-go-by-the-spelling",
        "signatures",
        &["OMP-SIG-05"],
        Must,
        "The guard compares the path as it was sent, and the routes as it is read: escaped, in capitals, with a slash twice.",
        "Anybody can delete everything.",
        "Guard the route that was found, not the text of the path.",
    ),
    fault(
        "absolute-addresses-are-unguarded",
        "signatures",
        &["OMP-SIG-05"],
        Must,
        "A request line with a whole address in it is not guarded.",
        "Anybody can delete everything.",
        "Guard the route that was found, not the text of the request line.",
    ),
    fault(
        "what-begins-with-search-is-open",
        "signatures",
        &["OMP-SIG-05"],
        Must,
        "Objects whose ids begin with search are not guarded.",
        "Some objects are open to everybody.",
        "Guard every route of objects.",
    ),
    fault(
        "second-members-unread",
        "signatures",
        &["OMP-SIG-03"],
        Must,
        "Of each header the first member is read, and a malformed one after it is not seen.",
        "Clients find out when strict is on.",
        "Read the whole header.",
    ),
];

/// Which labels are looked at.
pub(super) const LABELS: &[Fault] = &[
    fault(
        "only-the-label-sig1",
        "signatures",
        &["OMP-SIG-09"],
        Must,
        "Only the label sig1 is looked at.",
        "Clients with another label are locked out.",
        "Take any label.",
    ),
    fault(
        "strict-never-admits-replace",
        "signatures",
        &["OMP-SIG-09"],
        Must,
        "A signed replace is refused.",
        "Nothing can be changed in strict mode.",
        "Verify every method alike.",
    ),
    fault(
        "only-the-first-label",
        "signatures",
        &["OMP-SIG-10"],
        Must,
        "Only the first label is looked at.",
        "A proxy that signs too locks clients out.",
        "Let any label that verifies suffice.",
    ),
    fault(
        "every-label-must-verify",
        "signatures",
        &["OMP-SIG-10"],
        Must,
        "Every label must verify.",
        "A proxy that signs too locks clients out.",
        "Let any label that verifies suffice.",
    ),
    fault(
        "labels-by-their-places",
        "signatures",
        &["OMP-SIG-10"],
        Must,
        "The labels of the two headers are matched by their places, not by their names.",
        "A proxy that writes them in another order locks clients out.",
        "Look up each label by its name.",
    ),
    fault(
        "only-the-first-line-of-a-header",
        "signatures",
        &["OMP-SIG-10"],
        Must,
        "Of a header in several lines the first is looked at.",
        "A proxy that signs too locks clients out.",
        "Join the lines of a header (RFC 9110, 5.3).",
    ),
];

/// What is done though it is refused.
pub(super) const EXECUTED: &[Fault] = &[
    fault(
        "refused-delete-is-executed",
        "signatures",
        &["OMP-SIG-14"],
        Must,
        "A delete that is refused is executed.",
        "Anybody can delete everything.",
        "Verify first, execute then.",
    ),
    fault(
        "refused-replace-is-executed",
        "signatures",
        &["OMP-SIG-14"],
        Must,
        "A replace that is refused is executed.",
        "Anybody can change everything.",
        "Verify first, execute then.",
    ),
];

/// What becomes of headers that do not fit each other.
pub(super) const UNUSABLE: &[Fault] = &[
    fault(
        "one-header-suffices",
        "signatures",
        &["OMP-SIG-15"],
        Must,
        "One of the two headers suffices.",
        "Anybody is let in.",
        "Ask for both.",
    ),
    fault(
        "labels-need-not-match",
        "signatures",
        &["OMP-SIG-15", "OMP-SIG-16"],
        Must,
        "A signature under another label than its input is taken.",
        "Signatures are mixed up.",
        "Look for the same label in both headers.",
    ),
    fault(
        "a-key-is-guessed",
        "signatures",
        &["OMP-SIG-15", "OMP-SIG-16"],
        Must,
        "Without a keyid the first key is tried.",
        "Clients are taken for another one.",
        "Ask for a keyid.",
    ),
    fault(
        "signature-tail-ignored",
        "signatures",
        &["OMP-SIG-15"],
        Must,
        "Bytes behind the 64 of a signature are ignored.",
        "Signatures can be varied.",
        "Ask for exactly 64 bytes.",
    ),
    fault(
        "odd-signatures-500",
        "signatures",
        &["OMP-SIG-15", "OMP-ERR-03"],
        Must,
        "A signature that is none is answered 500.",
        "A careless client looks like an outage.",
        "Check lengths before they are used.",
    ),
    fault(
        "no-keyid-401",
        "signatures",
        &["OMP-SIG-16"],
        Should,
        "A label without keyid is answered 401.",
        "Clients look for the wrong mistake.",
        "Answer 400.",
    ),
    fault(
        "labels-crossed-401",
        "signatures",
        &["OMP-SIG-16"],
        Should,
        "Labels that do not match are answered 401.",
        "Clients look for the wrong mistake.",
        "Answer 400.",
    ),
    fault(
        "junk-in-base64-is-skipped",
        "signatures",
        &["OMP-SIG-15"],
        Must,
        "Characters of no alphabet within a signature are skipped.",
        "Signatures can be varied.",
        "Use a strict decoder.",
    ),
];

impl Server {
    /// Whether a server that does not look at signatures lets a request in.
    pub(in crate::omp::server) fn unguarded(
        &self,
        asked: &Asked,
        admission: Result<(), Answer>,
    ) -> Result<(), Answer> {
        match Labels::read(asked) {
            Err(why) if self.bends("off-looks-at-the-syntax") => Err(Answer::refused(400, &why)),
            _ => admission,
        }
    }

    /// Whether a permissive server lets a request in, given whether its headers can be read.
    pub(in crate::omp::server) fn permitted(
        &self,
        asked: &Asked,
        admission: Result<(), Answer>,
    ) -> Result<(), Answer> {
        match (asked.header("signature-input"), asked.header("signature")) {
            (None, None) if self.bends("permissive-wants-headers") => return Err(Lack::Unsigned.answer()),
            (None, None) | (Some(_), Some(_)) => {}
            _ if self.bends("one-header-is-malformed") => {
                return Err(restated(&Lack::OneHeader.answer(), 400));
            }
            _ => {}
        }
        let labels = match (Labels::read(asked), admission) {
            (Ok(labels), Ok(())) => labels,
            (_, Err(_)) if self.bends("permissive-takes-malformed-headers") => return Ok(()),
            (_, Err(_))
                if Labels::read(&with_first_members(asked)).is_ok()
                    && self.bends("second-members-unread") =>
            {
                return Ok(());
            }
            (_, admission) => return admission,
        };
        if labels.inputs.iter().any(|input| !input.components.is_empty()) {
            return match self.bends("components-are-malformed") {
                true => Err(Answer::refused(400, "covered components are not known here")),
                false => Ok(()),
            };
        }
        if self.has("permissive-verifies") {
            let looks = looks(self, asked, &labels);
            if !looks.is_empty() && !looks.contains(&Look::Verifies) && self.bends("permissive-verifies") {
                return Err(Lack::Unverified.answer());
            }
        }
        Ok(())
    }

    /// The labels that are looked at, given those that were read.
    ///
    /// # Errors
    /// None of them is.
    pub(in crate::omp::server) fn labels(&self, asked: &Asked, mut labels: Labels) -> Result<Labels, Lack> {
        if self.has("only-the-first-line-of-a-header") {
            let first = Labels::read(&with_first_lines(asked)).unwrap_or_default();
            if first.inputs.len() < labels.inputs.len() && self.bends("only-the-first-line-of-a-header") {
                labels = first;
            }
        }
        let names = labels.inputs.iter().map(|input| &input.label);
        let placed: Vec<String> = names.cloned().collect();
        let is_moved = placed
            .iter()
            .all(|name| labels.signatures.iter().any(|(own, _)| own == name))
            && !labels.signatures.iter().map(|(name, _)| name).eq(&placed);
        if is_moved && self.bends("labels-by-their-places") {
            for ((own, _), name) in labels.signatures.iter_mut().zip(placed) {
                *own = name;
            }
        }
        let is_there = labels.inputs.iter().any(|input| input.label == "sig1");
        match !is_there && self.bends("only-the-label-sig1") {
            true => Err(Lack::Unverified),
            false => Ok(labels),
        }
    }

    /// What comes of the labels that count, given what comes of each.
    pub(in crate::omp::server) fn looks(&self, mut looks: Vec<Look>) -> Vec<Look> {
        if looks.len() > 1 && looks[0] != Look::Verifies && self.bends("only-the-first-label") {
            looks.truncate(1);
        }
        if looks.len() > 1
            && looks.iter().any(|look| *look != Look::Verifies)
            && self.bends("every-label-must-verify")
        {
            looks = vec![Look::Fails];
        }
        looks
    }

    /// Whether a strict server lets a request in, given what it lacks.
    pub(in crate::omp::server) fn admitted(
        &self,
        asked: &Asked,
        admission: Result<(), Lack>,
    ) -> Result<(), Answer> {
        let lack = match admission {
            Ok(()) if asked.method == "PUT" && self.bends("strict-never-admits-replace") => {
                return Err(Lack::Unverified.answer());
            }
            Ok(()) => return Ok(()),
            Err(lack) => lack,
        };
        if self.takes(asked, &lack) {
            return Ok(());
        }
        if lack == Lack::UnknownKeys && names_what_is_inherited(asked) && self.bends("inherited-key-ids-500")
        {
            return Err(Answer::refused(500, "this is no key"));
        }
        if lack == Lack::Unsigned {
            self.body_first(asked)?;
        }
        if matches!(lack, Lack::Unsigned | Lack::UnknownKeys | Lack::Unverified) {
            self.execute_all_the_same(asked);
        }
        Err(self.refusal(&lack))
    }

    /// Whether a request is let in that lacks something.
    fn takes(&self, asked: &Asked, lack: &Lack) -> bool {
        match lack {
            Lack::Unsigned => self.leaves_open(asked),
            Lack::OneHeader => self.bends("one-header-suffices"),
            Lack::Unusable {
                is_nameless,
                is_crossed,
            } => self.mends(asked, *is_nameless, *is_crossed),
            Lack::UnknownKeys => self.bends("unknown-keys-are-taken") || self.finds_another_key(asked),
            Lack::OtherBody => self.bends("digests-are-ignored"),
            Lack::Malformed(_) | Lack::Unverified => false,
        }
    }

    /// Whether a route is forgotten when the others are guarded.
    fn leaves_open(&self, asked: &Asked) -> bool {
        let is_list = asked.path.trim_end_matches('/') == "/objects" && asked.method == "GET";
        is_list && self.bends("strict-leaves-the-list-open")
            || asked.path == "/objects/search" && self.bends("strict-leaves-the-search-open")
            || asked.method == "DELETE" && self.bends("strict-leaves-delete-open")
            || asked.method == "HEAD" && self.bends("strict-leaves-head-open")
            || asked.is_absolute && self.bends("absolute-addresses-are-unguarded")
            || asked.path.starts_with("/objects/search")
                && asked.path != "/objects/search"
                && self.bends("what-begins-with-search-is-open")
    }

    /// Whether labels verify once a key is guessed for one, or the label of a signature is changed.
    fn mends(&self, asked: &Asked, is_nameless: bool, is_crossed: bool) -> bool {
        let Ok(mut labels) = Labels::read(asked) else {
            return false;
        };
        let fault = match (is_nameless, is_crossed) {
            (true, false) => {
                let Some(id) = self.settings.keys.keys().next() else {
                    return false;
                };
                let parameters = &mut labels.inputs[0].parameters;
                parameters.insert("keyid".to_owned(), id.clone());
                "a-key-is-guessed"
            }
            (false, true) => {
                labels.signatures[0].0.clone_from(&labels.inputs[0].label);
                "labels-need-not-match"
            }
            _ => return false,
        };
        self.has(fault) && looks(self, asked, &labels).contains(&Look::Verifies) && self.bends(fault)
    }

    /// Whether labels verify under the key that is taken for the one they name.
    fn finds_another_key(&self, asked: &Asked) -> bool {
        let Ok(mut labels) = Labels::read(asked) else {
            return false;
        };
        let ids: Vec<&String> = self.settings.keys.keys().collect();
        let faults = [
            "key-ids-by-their-beginnings",
            "key-ids-end-at-a-hash",
            "a-sole-key-for-every-id",
        ];
        let own = faults.into_iter().find(|name| self.has(name));
        let fault = own.unwrap_or("unknown-keys-are-the-first");
        for input in &mut labels.inputs {
            let Some(named) = input.key_id().map(str::to_owned) else {
                continue;
            };
            let found = match fault {
                "key-ids-by-their-beginnings" => ids.iter().find(|id| id.starts_with(&named)),
                "key-ids-end-at-a-hash" => ids.iter().find(|id| named.split('#').next() == Some(id)),
                "a-sole-key-for-every-id" if ids.len() > 1 => None,
                _ => ids.first(),
            };
            if let Some(id) = found {
                input.parameters.insert("keyid".to_owned(), (*id).clone());
            }
        }
        self.has(fault) && looks(self, asked, &labels).contains(&Look::Verifies) && self.bends(fault)
    }

    /// The refusal of a request that lacks something.
    fn refusal(&self, lack: &Lack) -> Answer {
        let refused = lack.answer();
        match lack {
            Lack::OneHeader if self.bends("one-header-is-malformed") => restated(&refused, 400),
            Lack::Malformed(_) if self.bends("strict-malformed-401") => restated(&refused, 401),
            Lack::UnknownKeys if self.bends("unknown-keys-403") => restated(&refused, 403),
            Lack::Unusable {
                is_nameless: false,
                is_crossed: false,
            } if self.bends("odd-signatures-500") => Answer::refused(500, "cannot decode the signature"),
            Lack::Unusable {
                is_nameless,
                is_crossed,
            } if *is_nameless && self.bends("no-keyid-401")
                || *is_crossed && self.bends("labels-crossed-401") =>
            {
                restated(&refused, 401)
            }
            _ => refused,
        }
    }

    /// A server that looks at the signature when the work is done.
    fn execute_all_the_same(&self, asked: &Asked) {
        let id = decoded(asked.path.rsplit('/').next().unwrap_or_default());
        let is_there = self.store().get(&id).is_some();
        // What comes of it is not said: the request is refused.
        match asked.method.as_str() {
            "DELETE" if is_there && self.bends("refused-delete-is-executed") => {
                let _done = operations::objects::delete(self, &id);
            }
            "PUT" if is_there && self.bends("refused-replace-is-executed") => {
                let _done = operations::objects::replace(self, &id, asked);
            }
            _ => {}
        }
    }
}

/// A request of whose headers the first line of each stands alone.
fn with_first_lines(asked: &Asked) -> Asked {
    let mut first: Vec<(String, String)> = Vec::new();
    for (name, value) in &asked.headers {
        if !first.iter().any(|(known, _)| known == name) {
            first.push((name.clone(), value.clone()));
        }
    }
    Asked {
        headers: first,
        ..asked.clone()
    }
}

/// A request whose headers end at a comma.
fn with_first_members(asked: &Asked) -> Asked {
    let cut = |(name, value): &(String, String)| {
        let first = value.split(',').next().unwrap_or_default();
        (name.clone(), first.to_owned())
    };
    Asked {
        headers: asked.headers.iter().map(cut).collect(),
        ..asked.clone()
    }
}

/// Whether a key id is a name that every object has in some languages.
fn names_what_is_inherited(asked: &Asked) -> bool {
    asked
        .header("signature-input")
        .is_some_and(|text| text.contains("\"constructor\""))
}
