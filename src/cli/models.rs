//! `vejr models`: the packages that are here.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::{Failure, Fault, say};
use crate::device::DeviceRequest;
use crate::import::{Imported, Kind, Params};
use crate::model::{MANIFEST_FILE, ModelPackage};

/// List, show and verify model packages.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// The packages in a folder (default: models).
    ///
    /// Example: vejr models list models
    List(ListArguments),
    /// What a package is: channels, grid, licence, origin.
    ///
    /// Example: vejr models show models/held-suarez-sfno
    Show(PackageArguments),
    /// Make a package of what training left behind: an inference artifact or a checkpoint. Nothing in it is executed.
    ///
    /// Example: vejr models import gefion-1.zip --output models/gefion-1
    Import(ImportArguments),
    /// Check every digest and shape, and the network against its reference implementation.
    ///
    /// Example: vejr models verify models/held-suarez-sfno
    Verify(VerifyArguments),
}

#[derive(Debug, Args)]
pub struct ListArguments {
    #[arg(default_value = "models")]
    folder: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct PackageArguments {
    package: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct VerifyArguments {
    package: PathBuf,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct ImportArguments {
    /// Neural-LAM: inference artifact (zip or folder), or Lightning checkpoint with its config.yaml beside it; GraphCast: the
    /// published .npz with its statistics beside it, or their folder
    source: PathBuf,
    /// Folder of the package to make
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// What the source does not carry: n_boundary_points, graph, time_step, name, licence, …
    #[arg(long, value_name = "FILE.toml")]
    params: Option<PathBuf>,
    /// Architecture of the source: neural-lam or graphcast [default: what it looks like]
    #[arg(long, value_name = "NAME")]
    arch: Option<Kind>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List(arguments) => list(&arguments),
        Command::Show(arguments) => show(&arguments),
        Command::Import(arguments) => import(&arguments),
        Command::Verify(arguments) => verify(&arguments),
    }
}

/// The packages in the sub-folders of `folder`, in order of name; what is wrong with one of them is its own error.
pub fn packages_in(folder: &Path) -> std::io::Result<Vec<(PathBuf, Result<ModelPackage, crate::model::PackageError>)>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.join(MANIFEST_FILE).is_file())
        .collect();
    paths.sort();
    Ok(paths.into_iter().map(|path| (path.clone(), ModelPackage::open(&path))).collect())
}

fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let folder = &arguments.folder;
    let packages = packages_in(folder).map_err(|error| {
        Failure::configuration(format!("{}: {error}; expected a folder of model packages", folder.display()))
    })?;
    if arguments.json {
        let rows: Vec<_> = packages
            .iter()
            .map(|(path, package)| match package {
                Ok(package) => summary(package),
                Err(error) => json!({ "path": path, "error": error.to_string() }),
            })
            .collect();
        say(json!(rows));
        return Ok(());
    }
    if packages.is_empty() {
        say(format!("no model packages in {}: none of its folders has a {MANIFEST_FILE}", folder.display()));
    }
    for (path, package) in &packages {
        match package {
            Ok(package) => {
                let model = &package.manifest().model;
                let (channels, step) = (package.layout().len(), package.time_step());
                say(format!(
                    "{:30} {:8} {step:>4} step  {channels:3} channels  {}",
                    path.display(),
                    model.arch,
                    package.grid()
                ));
                say(format!("{:30} {}", "", model.title));
            }
            Err(error) => say(format!("{:30} cannot be used: {error}", path.display())),
        }
    }
    Ok(())
}

fn summary(package: &ModelPackage) -> serde_json::Value {
    let model = &package.manifest().model;
    let channels: Vec<_> = package
        .layout()
        .iter()
        .map(|channel| {
            json!({
                "name": &*channel.variable.name, "standard_name": &*channel.variable.standard_name,
                "units": &*channel.variable.units, "level": channel.level.to_string(),
                "mean": channel.mean, "std": channel.std, "plausible": channel.plausible,
            })
        })
        .collect();
    json!({
        "path": package.path(), "name": model.name, "title": model.title, "version": model.version, "arch": model.arch,
        "licence": model.licence, "origin": model.origin, "digest": package.digest(), "parameters": package.parameters(),
        "time_step_seconds": package.time_step().seconds(), "input_states": package.input_states(),
        "grid": package.grid().to_string(), "channels": channels,
    })
}

fn show(arguments: &PackageArguments) -> Result<(), Failure> {
    let package = ModelPackage::open(&arguments.package)?;
    if arguments.json {
        say(summary(&package));
        return Ok(());
    }
    let model = &package.manifest().model;
    say(format!("{} {}: {}", model.name, model.version, model.title));
    say(format!("  architecture  {}, {} parameters", model.arch, package.parameters()));
    say(format!("  time step     {}, from {} input state(s)", package.time_step(), package.input_states()));
    say(format!("  grid          {}", package.grid()));
    say(format!("  licence       {}", model.licence));
    say(format!("  origin        {}", model.origin));
    say(format!("  digest        {}", package.digest()));
    say(format!("  channels      {}", package.layout().len()));
    for (variable, levels) in package.layout().variables() {
        let levels: Vec<String> = levels.iter().map(ToString::to_string).collect();
        say(format!("    {:8} {:28} {:8} {}", variable.name, variable.long_name, variable.units, levels.join(" ")));
    }
    Ok(())
}

fn import(arguments: &ImportArguments) -> Result<(), Failure> {
    let params = arguments.params.as_deref().map(Params::read).transpose()?.unwrap_or_default();
    let Imported { package, notes } =
        crate::import::import(&arguments.source, &arguments.output, &params, arguments.arch)?;
    if arguments.json {
        let mut description = summary(&package);
        description["notes"] = json!(notes);
        say(description);
        return Ok(());
    }
    for note in &notes {
        eprintln!("note: {note}");
    }
    let channels = package.channels();
    say(format!(
        "{}: {} ({}), {} step, {} state channels, {} forcings, {} static fields, {} parameters",
        package.path().display(),
        package.name(),
        package.manifest().model.arch,
        package.time_step(),
        channels.state.len(),
        channels.forcings.len(),
        channels.statics.len(),
        package.parameters(),
    ));
    Ok(())
}

fn verify(arguments: &VerifyArguments) -> Result<(), Failure> {
    let device = arguments.device.parse::<DeviceRequest>()?.open()?;
    let package = ModelPackage::open(&arguments.package)?;
    if package.manifest().parity.is_none() {
        if arguments.json {
            say(json!({ "path": package.path(), "sound": true, "parity": null }));
        } else {
            say(format!("{}: manifest, digests and weight shapes are sound", package.path().display()));
            say("parity with the reference implementation: not measured, the package has no [parity] section");
        }
        return Ok(());
    }
    let (tolerance, channels) = package.parity(&device).map_err(|error| Failure::new(Fault::Other, error))?;
    // a NaN is no agreement: it must not slip through a comparison
    let agrees = |error: f64| error <= tolerance;
    let all = channels.iter().all(|channel| agrees(channel.relative_l2));
    if arguments.json {
        let rows: Vec<_> =
            channels.iter().map(|c| json!({ "channel": c.channel, "relative_l2": c.relative_l2 })).collect();
        say(json!({
            "path": package.path(), "sound": true, "device": crate::device::device_name(&device),
            "parity": { "tolerance": tolerance, "agrees": all, "channels": rows },
        }));
    } else {
        say(format!("{}: manifest, digests and weight shapes are sound", package.path().display()));
        say(format!(
            "agreement with the reference implementation on {}, relative L2, tolerance {tolerance:.0e}:",
            crate::device::device_name(&device)
        ));
        for channel in &channels {
            let mark = if agrees(channel.relative_l2) { "" } else { "  too far" };
            say(format!("  {:16} {:.1e}{mark}", channel.channel, channel.relative_l2));
        }
    }
    if all {
        Ok(())
    } else {
        Err(Failure::new(Fault::Other, "the network does not agree with its reference implementation"))
    }
}
