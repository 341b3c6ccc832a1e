//! The freedoms that clients in the field use.

use crate::serve::Variation;

/// All of them.
pub static VARIATIONS: &[Variation] = &[
    Variation {
        name: "login-each-call",
        area: "login",
        about: "It logs in before every operation.",
    },
    Variation {
        name: "gives-up-on-401",
        area: "login",
        about: "It does not log in again where a token is not taken any more.",
    },
    Variation {
        name: "gives-up-on-429",
        area: "retries",
        about: "It ends an operation that was answered 429.",
    },
    Variation {
        name: "redirect-without-token",
        area: "retries",
        about: "It follows redirects, without the token.",
    },
    Variation {
        name: "path-plus-raw",
        area: "form",
        about: "It leaves + and = raw in path segments.",
    },
    Variation {
        name: "path-lower-hex",
        area: "form2",
        about: "It escapes with lower-case hexadecimal digits.",
    },
    Variation {
        name: "content-type-on-get",
        area: "form",
        about: "It sends a content type where there is no body.",
    },
    Variation {
        name: "connection-close",
        area: "retries",
        about: "It opens a connection for each request.",
    },
    Variation {
        name: "equals-escaped",
        area: "form3",
        about: "It writes = in JSON as an escape.",
    },
    Variation {
        name: "binding-null",
        area: "form4",
        about: "It writes keyBindingSig as null where there is none.",
    },
    Variation {
        name: "rotation-drops-bindings",
        area: "rotation",
        about: "It leaves keyBindingSig out of the entries that it wraps anew.",
    },
    Variation {
        name: "epochs-from-zero",
        area: "rotation",
        about: "Its first data key has epoch 0.",
    },
    Variation {
        name: "save-from-memory",
        area: "reading",
        about: "It saves from what it read last, and reads where somebody else wrote first.",
    },
    Variation {
        name: "read-from-memory",
        area: "reading2",
        about: "It asks what has changed since it read last, and unwraps nothing where nothing has.",
    },
    Variation {
        name: "stripped-to-null",
        area: "policy",
        about: "It writes refreshToken as null where it is not shared.",
    },
    Variation {
        name: "stripped-to-zero",
        area: "policy2",
        about: "It writes expiresAt as 0 where it is not shared.",
    },
];
