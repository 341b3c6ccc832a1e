//! The gRPC profile, on the harness's side: messages by the descriptors of `schema/avp.proto`, and the table of statuses.
//!
//! The judge looks at JSON and at HTTP statuses, over whatever a call went: a message becomes the JSON of the HTTP profile here, and a
//! status the one that it stands for. What cannot be said in protobuf, a number written as text, a field that nobody knows, is
//! told by saying it and reading it back.

mod messages;
mod status;

pub use messages::can_say;

use crate::http::GrpcCodec;

/// How calls of AVP are read.
pub const CODEC: GrpcCodec = GrpcCodec {
    encode: messages::encode,
    decode: messages::decode,
    status: status::http_status,
};

pub use crate::http::status_name;
pub use status::{NOT_OFFERED, is_of_the_table, name_for};
