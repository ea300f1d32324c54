//! MySQL from Debian's unstable suite, the only suite that has it.
//!
//! - apt resolves, verifies and downloads the packages with a state of its own, as if no package were installed, not
//!   even the C library. The packages are unpacked into a tree and not installed. So the machine's own packages do not
//!   change, and no root rights are needed.
//! - A failed download leaves no partial tree in the cache.
//! - The server starts with the dynamic loader of the tree. Root uses `chroot` instead, because its cache is in a home
//!   directory that the server's user cannot access.

use crate::lock::lock;
use crate::machine::{self, Owner, has};
use crate::mysql::Program;
use crate::{Outcome, mirror, place, shell};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGE: &str = "mysql-server-core";

/// The server in the cache. Downloads the server if the cache has none.
pub fn mysql() -> Outcome<Program> {
    let cache = place::absolute(&place::cache()?)?;
    let tree = cache.join("mysql-unstable");
    if !tree.exists() {
        let _lock = lock(&cache.join("lock"))?;
        if !tree.exists() {
            fetch(&cache.join("mysql-unstable.part"), &tree)?;
        }
    }
    let version = fs::read_to_string(tree.join("version")).unwrap_or_default();
    println!(
        "{PACKAGE} {version} of Debian unstable, in {}",
        tree.display()
    );
    if machine::is_root() {
        in_chroot(tree)
    } else {
        with_loader(&tree)
    }
}

/// Whether this machine can download it.
pub fn is_possible() -> bool {
    has("apt-get") && has("dpkg-deb") && mirror::keyring().is_some()
}

fn in_chroot(tree: PathBuf) -> Outcome<Program> {
    let owner = Owner::of("mysql").ok_or("only root can use chroot")?;
    let user = format!("--userspec={}:{}", owner.uid, owner.gid);
    let command = vec![
        "chroot".into(),
        user.into(),
        tree.clone().into(),
        "/usr/sbin/mysqld".into(),
    ];
    Ok(Program::mysql(command, Some(tree)))
}

fn with_loader(tree: &Path) -> Outcome<Program> {
    let usr = tree.join("usr");
    let loader =
        entry(&usr.join("lib64"), "ld-linux").or_else(|_| entry(&usr.join("lib"), "ld-linux"))?;
    let libraries = entry(&usr.join("lib"), "-linux-gnu")?;
    let words = [
        loader,
        "--library-path".into(),
        libraries,
        usr.join("sbin/mysqld"),
    ];
    Ok(Program::mysql(words.map(OsString::from).into(), None))
}

fn fetch(work: &Path, tree: &Path) -> Outcome {
    println!("downloading {PACKAGE} from Debian unstable: about 60 MB, once for this user");
    let _ = fs::remove_dir_all(work);
    let unpacked = work.join("tree");
    download(work)?;
    for package in packages(work)? {
        shell::output(
            Command::new("dpkg-deb")
                .arg("--extract")
                .arg(package)
                .arg(&unpacked),
        )?;
    }
    complete(work, &unpacked)
        .and_then(|()| fs::rename(&unpacked, tree))
        .and_then(|()| fs::remove_dir_all(work))
        .map_err(|e| format!("cannot make {}: {e}", tree.display()))
}

fn download(work: &Path) -> Outcome {
    place::create(&work.join("lists/partial"))?;
    place::create(&work.join("archives/partial"))?;
    let write =
        |name: &str, text: String| fs::write(work.join(name), text).map_err(|e| e.to_string());
    write("status", String::new())?;
    write("sources.list", mirror::unstable()?)?;
    write("apt.conf", configuration(work))?;
    let apt = |words: &[&str]| {
        shell::output(
            Command::new("apt-get")
                .args(words)
                .env("APT_CONFIG", work.join("apt.conf")),
        )
    };
    apt(&["--quiet=2", "update"])?;
    apt(&["--quiet=2", "--yes", "--download-only", "install", PACKAGE]).map(drop)
}

/// The configuration of apt. It takes only the settings for downloads (proxies) from the machine's own configuration,
/// whose hooks would clean up directories that belong to root.
fn configuration(work: &Path) -> String {
    let machine = shell::output(Command::new("apt-config").arg("dump")).unwrap_or_default();
    let wanted =
        |line: &&str| line.starts_with("Acquire::") && !line.starts_with("Acquire::IndexTargets");
    let downloads = machine
        .lines()
        .filter(wanted)
        .collect::<Vec<_>>()
        .join("\n");
    let work = work.display();
    format!(
        r#"{downloads}
Acquire::Languages "none";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Dir::State "{work}";
Dir::State::status "{work}/status";
Dir::Cache "{work}";
Dir::Etc::sourcelist "{work}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::main "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
"#
    )
}

fn packages(work: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(work.join("archives")).map_err(|e| e.to_string())?;
    let files = entries.flatten().map(|entry| entry.path());
    Ok(files
        .filter(|file| file.extension().is_some_and(|it| it == "deb"))
        .collect())
}

/// Adds what the scripts of the packages would create: the links of the merged `/usr`, and a directory for data.
fn complete(work: &Path, tree: &Path) -> std::io::Result<()> {
    symlink("usr/lib", tree.join("lib"))?;
    symlink("usr/lib64", tree.join("lib64"))?;
    fs::create_dir(tree.join("tmp"))?;
    fs::set_permissions(tree.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::write(tree.join("version"), version(work).unwrap_or_default())
}

/// The version in `mysql-server-core_9.7.4-2_amd64.deb`.
fn version(work: &Path) -> Option<String> {
    let package = entry(&work.join("archives"), PACKAGE).ok()?;
    let name = package.file_name()?.to_str()?;
    name.split('_').nth(1).map(str::to_owned)
}

/// The first entry of the directory whose name contains `part`.
fn entry(directory: &Path, part: &str) -> Outcome<PathBuf> {
    let entries = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let named = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().contains(part))
    };
    entries
        .into_iter()
        .find(named)
        .ok_or_else(|| format!("{}: no {part}", directory.display()))
}
