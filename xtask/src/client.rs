//! The C libraries that Diesel's own PostgreSQL and MySQL connections link: `libpq`, and MariaDB's
//! for both MySQL and MariaDB (the bundled one of `mysqlclient-sys` is under the GPL).
//!
//! Development packages bring what the linker looks for; a machine with servers alone has the
//! libraries nevertheless, under names with a version. A link of the plain name is enough then.

use crate::{Outcome, place, shell};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Variables for the build scripts of `pq-sys` and `mysqlclient-sys`; mostly none.
pub type Variables = Vec<(&'static str, String)>;

/// For `libpq`; `None` when there is none.
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

/// For `libmysqlclient`; `None` when there is neither that nor MariaDB's.
pub fn mysql() -> Option<Variables> {
    let found = std::env::var_os("MYSQLCLIENT_LIB_DIR").is_some()
        || succeeds("pkg-config", &["--exists", "mysqlclient"])
        || succeeds("pkg-config", &["--exists", "libmariadb"])
        || succeeds("mysql_config", &["--libs"]);
    if found {
        return Some(Variables::new());
    }
    // The name and the version whose bindings fit it.
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

/// Both, where they are.
pub fn variables() -> Variables {
    postgres().into_iter().chain(mysql()).flatten().collect()
}

/// Where the linker finds this file; the compiler repeats a name that it does not know.
fn library(name: &str) -> Option<PathBuf> {
    let said = shell::output(Command::new("cc").arg(format!("-print-file-name={name}"))).ok()?;
    let path = PathBuf::from(said.trim());
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

/// A directory of ours with a link of this name.
fn linked(name: &str, library: &Path) -> Outcome<String> {
    let directory = place::absolute(Path::new("target/clients"))?;
    place::made(&directory)?;
    let link = directory.join(name);
    if fs::read_link(&link).ok().as_deref() != Some(library) {
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(library, &link).map_err(|e| e.to_string())?;
    }
    Ok(directory.display().to_string())
}
