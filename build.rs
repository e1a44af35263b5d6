//! Compiles `proto/` without protoc: Rust types for the API, and the descriptor set that server reflection hands out.
//! Builds the map page with npm, from `src/serve/web`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use protox::prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    if env::var_os("CARGO_FEATURE_GRIB").is_some() {
        find_libraries_again();
    }
    let files = ["data", "forecast", "model", "run"].map(|name| format!("proto/vejr/v1/{name}.proto"));
    let descriptors = protox::compile(files, ["proto"])?;
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    build_page(&out_dir)?;
    fs::write(out_dir.join("vejr_descriptor.bin"), descriptors.encode_to_vec())?;
    // whole fields and tiles are handed over as reference-counted bytes, not copied into vectors
    tonic_prost_build::configure()
        .bytes(".vejr.v1")
        // one header, then many pieces: a piece must not be as large as a header
        .boxed(".vejr.v1.GetFieldResponse.part.header")
        .boxed(".vejr.v1.GetAreaResponse.part.header")
        .compile_fds(descriptors)?;
    Ok(())
}

const PAGE: &str = "src/serve/web";
const PAGE_FILES: [&str; 7] =
    [".npmrc", "build.mjs", "icon.svg", "index.html", "package.json", "package-lock.json", "style.css"];
const PAGE_SOURCES: &str = "src";
const NO_NPM: &str = "the map page is built with npm (Node.js 20 or newer), and there is none: `make build-tools` installs \
                      it into .tools/ here; or install nodejs and npm";

/// In a folder of the build's own, so that nothing is written among the sources. `assets.rs` lists what came out.
fn build_page(out_dir: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let (sources, folder) = (Path::new(PAGE), out_dir.join("web"));
    fs::create_dir_all(folder.join(PAGE_SOURCES))?;
    let lock = fs::read(sources.join("package-lock.json"))?;
    let installed = fs::read(folder.join("installed")).is_ok_and(|installed| installed == lock);
    for entry in fs::read_dir(folder.join(PAGE_SOURCES))? {
        fs::remove_file(entry?.path())?;
    }
    let modules = fs::read_dir(sources.join(PAGE_SOURCES))?.collect::<Result<Vec<_>, _>>()?;
    let modules = modules.iter().map(|entry| Path::new(PAGE_SOURCES).join(entry.file_name()));
    for name in PAGE_FILES.iter().map(PathBuf::from).chain(modules) {
        println!("cargo:rerun-if-changed={}", sources.join(&name).display());
        fs::write(folder.join(&name), fs::read(sources.join(&name))?)?;
    }
    println!("cargo:rerun-if-changed={}", sources.join(PAGE_SOURCES).display());
    if !installed {
        run_node("npm", &["ci", "--omit=dev", "--no-progress", "--loglevel=error"], &folder)?;
        fs::write(folder.join("installed"), lock)?;
    }
    run_node("node", &["build.mjs"], &folder)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.join("dist"))? {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    let include = |name: &str| format!("include_bytes!({:?})", folder.join("dist").join(name));
    let form = |name: &str, ending: &str| {
        let name = format!("{name}{ending}");
        if names.contains(&name) { format!("Some({})", include(&name)) } else { "None".to_owned() }
    };
    let plain = names.iter().filter(|name| !name.ends_with(".gz") && !name.ends_with(".br"));
    let assets = plain.map(|name| {
        let (bytes, gzip, brotli) = (include(name), form(name, ".gz"), form(name, ".br"));
        format!("    Asset {{ name: {name:?}, bytes: {bytes}, gzip: {gzip}, brotli: {brotli} }},\n")
    });
    let list = format!("const ASSETS: &[Asset] = &[\n{}];\n", assets.collect::<String>());
    fs::write(out_dir.join("assets.rs"), list)?;
    Ok(())
}

/// Runs node or npm: that of `.tools/`, if it is there, or the one that is on the path.
fn run_node(program: &str, arguments: &[&str], folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let tools = env::current_dir()?.join(".tools/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([tools].into_iter().chain(env::split_paths(&path)))?;
    let found = env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
    let output = Command::new(found.ok_or(NO_NPM)?).args(arguments).current_dir(folder).env("PATH", path).output();
    let output = output.map_err(|error: io::Error| format!("{program}: {error}; {NO_NPM}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Err(format!("building the map page: {program} {} failed:\n{text}", arguments.join(" ")).into())
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
