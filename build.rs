//! Compiles `proto/` without protoc: Rust types for the API, and the descriptor set that server reflection hands out.

use std::path::PathBuf;
use std::{env, fs};

use protox::prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    if env::var_os("CARGO_FEATURE_GRIB").is_some() {
        find_libraries_again();
    }
    let files = ["data", "forecast", "model", "run"].map(|name| format!("proto/vejr/v1/{name}.proto"));
    let descriptors = protox::compile(files, ["proto"])?;
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("vejr_descriptor.bin"), descriptors.encode_to_vec())?;
    // whole fields and tiles are handed over as reference-counted bytes, not copied into vectors
    tonic_prost_build::configure()
        .bytes(".vejr.v1")
        // one header, then many pieces: a piece must not be as large as a header
        .boxed(".vejr.v1.GetFieldResponse.part.header")
        .compile_fds(descriptors)?;
    Ok(())
}

/// What is built finds ecCodes where it was found for building.
fn find_libraries_again() {
    println!("cargo:rerun-if-env-changed=CMAKE_PREFIX_PATH");
    let prefixes = env::var("CMAKE_PREFIX_PATH").unwrap_or_default();
    let folders =
        prefixes.split([';', ':']).flat_map(|prefix| ["lib64", "lib"].map(|name| PathBuf::from(prefix).join(name)));
    for folder in folders.filter(|folder| folder.is_absolute() && folder.is_dir()) {
        // the libraries look for each other there, too: an rpath of the old kind
        println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{}", folder.display());
    }
}
