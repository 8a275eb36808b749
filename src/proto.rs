//! The generated API: messages, clients and servers of `gale.v1`, and the proto3
//! JSON of the messages that people write in files.
//!
//! `EventService` is generated twice. Many subscribers of a market are sent the same
//! message, which is encoded once for all of them: the server of [`encoded`] sends
//! [`Encoded`] where the API says `WatchResponse`. On the wire they are the same.

use bytes::{Buf, BufMut, Bytes};
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType};

/// Package `gale.v1`; documented in `proto/gale/v1/`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("gale.v1");
    include!(concat!(env!("OUT_DIR"), "/gale.v1.serde.rs"));
}

/// The server of `EventService` whose streams send [`Encoded`] messages.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod encoded {
    include!(concat!(env!("OUT_DIR"), "/encoded/gale.v1.rs"));
}

/// The encoded `FileDescriptorSet` of the API, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gale.bin"));

/// A message that is encoded already. Clones share its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded(Bytes);

impl Encoded {
    /// Encodes a message.
    pub fn of(message: &impl prost::Message) -> Self {
        Self(message.encode_to_vec().into())
    }
}

impl From<Bytes> for Encoded {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

/// So that a codec takes it for the message that it encodes. It is sent and never read:
/// nobody could say of which message the fields would be.
impl prost::Message for Encoded {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        prost::encoding::skip_field(wire_type, tag, buf, context)
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}
