//! The mirror of Debian that this machine uses, and the keys that verify its packages.

use crate::Outcome;
use std::fs;
use std::path::{Path, PathBuf};

/// A suite of Debian on this machine's mirror, as a line for apt. Signatures are verified. Dates are not: neither an
/// old mirror nor a wrong clock does harm here.
pub fn suite(name: &str) -> Outcome<String> {
    let keyring =
        keyring().ok_or("Debian's keys are missing: apt-get install debian-archive-keyring")?;
    Ok(format!(
        "deb [signed-by={} check-valid-until=no check-date=no] {} {name} main\n",
        keyring.display(),
        address()
    ))
}

pub fn keyring() -> Option<PathBuf> {
    let names = ["debian-archive-keyring.gpg", "debian-archive-keyring.pgp"];
    names
        .map(|name| Path::new("/usr/share/keyrings").join(name))
        .into_iter()
        .find(|path| path.exists())
}

fn address() -> String {
    let directory = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .flatten();
    let files =
        std::iter::once("/etc/apt/sources.list".into()).chain(directory.map(|entry| entry.path()));
    files
        .filter_map(|file| fs::read_to_string(file).ok())
        .find_map(|text| address_in(&text))
        .unwrap_or_else(|| "http://deb.debian.org/debian".to_owned())
}

/// The first address that ends in `/debian`. That excludes `/debian-security` and third-party repositories.
fn address_in(sources: &str) -> Option<String> {
    let lines = sources
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let fits =
        |word: &&str| word.contains("://") && word.trim_end_matches('/').ends_with("/debian");
    lines
        .flat_map(str::split_whitespace)
        .find(fits)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::address_in;

    #[test]
    fn the_mirror_is_debians_own() {
        let one_line = "# deb http://a/debian x\ndeb [arch=amd64] http://security/debian-security x\ndeb http://b/debian/ sid main";
        assert_eq!(address_in(one_line).as_deref(), Some("http://b/debian/"));
        assert_eq!(
            address_in("Types: deb\nURIs: http://c/debian\nSuites: sid").as_deref(),
            Some("http://c/debian")
        );
        assert_eq!(address_in("deb http://archive/ubuntu noble main"), None);
    }
}
