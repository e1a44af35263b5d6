//! `vejr token`: a token for a caller of a server.

use clap::Args;

use super::{Failure, Fault, say};
use crate::atmos::ReferenceTime;
use crate::serve::{Role, generate_token};

/// Make a token. It is printed once, on standard output; the lines that let a server know it, on standard error.
///
/// The server keeps only its SHA-256. Clients take the token from the variable VEJR_TOKEN or with --token-file; in a browser it
/// is the password, whatever the user's name.
///
/// Example: vejr token nightly --role request --expires 2028-01-01T00:00Z > nightly.token
#[derive(Debug, Args)]
pub struct Arguments {
    /// Whose it is: for the log, the ledger and the limits
    name: String,
    /// read: what there is; request: ask for forecasts and cancel runs, too; admin: everything
    #[arg(long, value_name = "ROLE", default_value = "read")]
    role: Role,
    /// When it ends
    #[arg(long, value_name = "TIME")]
    expires: Option<ReferenceTime>,
}

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { name, role, expires } = arguments;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        let expected = "expected letters, digits, dots, hyphens and underscores, at most 64";
        return Err(Failure::configuration(format!("{name:?} is no name of a token; {expected}")));
    }
    let (token, digest) =
        generate_token().ok_or_else(|| Failure::new(Fault::Other, "the system gives no random numbers"))?;
    eprintln!("# for vejr.toml of the server");
    eprintln!("[[access.tokens]]\nname = \"{name}\"\nsha256 = \"{}\"\nroles = [\"{role}\"]", hex::encode(digest));
    if let Some(expires) = expires {
        eprintln!("expires = \"{expires}\"");
    }
    say(token);
    Ok(())
}
