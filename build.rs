//! Compiles `proto/` without protoc: descriptors by protox, messages and services by
//! tonic, and their proto3 JSON by pbjson.

use prost::Message;
use std::path::PathBuf;
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = ["market", "pool", "matching", "event"].map(|name| format!("gale/v1/{name}.proto"));
    let descriptors = protox::compile(files, ["proto"])?;
    let bytes = descriptors.encode_to_vec();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("gale.bin"), &bytes)?;
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
