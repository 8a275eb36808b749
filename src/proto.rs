//! The generated API: messages, clients and servers of `gale.v1`, and the proto3
//! JSON of the messages that people write in files.

/// Package `gale.v1`; documented in `proto/gale/v1/`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("gale.v1");
    include!(concat!(env!("OUT_DIR"), "/gale.v1.serde.rs"));
}

/// The encoded `FileDescriptorSet` of the API, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gale.bin"));
