//! What push gets wrong.

use crate::server::deviation::faults;

faults! { "push";
    Rule(CANARY) "canary", Must "AVP-6-09",
        "Every push that would apply is answered as applied, and nothing of it is stored.",
        "Whatever is saved is gone at the next start.",
        "Store the envelope before you answer.";
}
