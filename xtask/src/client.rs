//! The C libraries that Diesel's blocking connections to PostgreSQL and MySQL link: `libpq`, and the library of MariaDB
//! for both MySQL and MariaDB. The library that `mysqlclient-sys` bundles is under the GPL.
//!
//! The linker finds a library under its plain name, which the development packages provide. A machine with servers
//! alone has the libraries under names with a version. Then a link with the plain name is enough.

use crate::{Outcome, place, shell};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Environment variables for the build scripts of `pq-sys` and `mysqlclient-sys`. Most machines need none.
pub type Variables = Vec<(&'static str, String)>;

/// For `libpq`. `None` if this machine has no `libpq`.
pub fn postgres() -> Option<Variables> {
    let found = std::env::var_os("PQ_LIB_DIR").is_some()
        || library("libpq.so").is_some()
        || succeeds("pkg-config", &["--exists", "libpq"])
        || shell::output(Command::new("pg_config").arg("--libdir"))
            .is_ok_and(|directory| has_library(&directory));
    if found {
        return Some(Variables::new());
    }
    let directory = linked("libpq.so", &library("libpq.so.5")?).ok()?;
    Some(vec![("PQ_LIB_DIR", directory)])
}

/// For `libmysqlclient`. `None` if this machine has neither MySQL's library nor MariaDB's.
pub fn mysql() -> Option<Variables> {
    let found = std::env::var_os("MYSQLCLIENT_LIB_DIR").is_some()
        || succeeds("pkg-config", &["--exists", "mysqlclient"])
        || succeeds("pkg-config", &["--exists", "libmariadb"])
        || succeeds("mysql_config", &["--libs"]);
    if found {
        return Some(Variables::new());
    }
    // The file, and the version whose bindings fit the file.
    let known = [
        ("libmariadb.so.3", "10.11.0"),
        ("libmysqlclient.so.21", "8.0.0"),
        ("libmysqlclient.so.24", "8.4.0"),
    ];
    let (file, version) = known
        .iter()
        .find_map(|(name, version)| Some((library(name)?, version)))?;
    let directory = linked("libmysqlclient.so", &file).ok()?;
    Some(vec![
        ("MYSQLCLIENT_LIB_DIR", directory),
        ("MYSQLCLIENT_VERSION", (*version).to_owned()),
    ])
}

/// For both libraries, as far as this machine has them.
pub fn variables() -> Variables {
    postgres().into_iter().chain(mysql()).flatten().collect()
}

/// The path at which the linker finds this file. The compiler prints the bare name if the linker finds nothing.
fn library(name: &str) -> Option<PathBuf> {
    let printed = shell::output(Command::new("cc").arg(format!("-print-file-name={name}"))).ok()?;
    let path = PathBuf::from(printed.trim());
    path.is_absolute().then_some(path)
}

fn has_library(directory: &str) -> bool {
    ["libpq.so", "libpq.dylib", "libpq.a"]
        .iter()
        .any(|name| Path::new(directory.trim()).join(name).exists())
}

fn succeeds(program: &str, words: &[&str]) -> bool {
    shell::output(Command::new(program).args(words)).is_ok()
}

/// A directory below `target` that holds a link with this name to the library.
fn linked(name: &str, library: &Path) -> Outcome<String> {
    let directory = place::absolute(Path::new("target/clients"))?;
    place::create(&directory)?;
    let link = directory.join(name);
    if fs::read_link(&link).ok().as_deref() != Some(library) {
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(library, &link).map_err(|e| e.to_string())?;
    }
    Ok(directory.display().to_string())
}
