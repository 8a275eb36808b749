//! Compiles `proto/` without protoc: descriptors by protox, messages and services by
//! tonic, and their proto3 JSON by pbjson.

use prost::Message;
use prost_types::FileDescriptorSet;
use std::path::{Path, PathBuf};
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = ["market", "pool", "matching", "event", "planning"];
    let files = files.map(|name| format!("gale/v1/{name}.proto"));
    let descriptors = protox::compile(files, ["proto"])?;
    let bytes = descriptors.encode_to_vec();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("gale.bin"), &bytes)?;
    compile_encoded(&descriptors, &out.join("encoded"))?;
    tonic_prost_build::configure()
        .compile_well_known_types(true)
        .btree_map(".")
        .extern_path(".google.protobuf", "::pbjson_types")
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)?;
    pbjson_build::Builder::new()
        .register_descriptors(&bytes)?
        .btree_map(["."])
        .build(&[".gale.v1"])?;
    Ok(())
}

/// `EventService` once more, for the server: its streams send what is encoded already. All
/// other messages are those of the package.
fn compile_encoded(descriptors: &FileDescriptorSet, out: &Path) -> Result<(), Box<dyn Error>> {
    let mut descriptors = descriptors.clone();
    for file in &mut descriptors.file {
        file.service.retain(|service| service.name() == "EventService");
    }
    fs::create_dir_all(out)?;
    tonic_prost_build::configure()
        .build_client(false)
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::pbjson_types")
        .extern_path(".gale.v1", "crate::proto::v1")
        .extern_path(".gale.v1.WatchResponse", "crate::proto::Encoded")
        .out_dir(out)
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)?;
    Ok(())
}
