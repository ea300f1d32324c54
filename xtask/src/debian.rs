//! Servers from other suites of Debian than the machine's: MySQL, which only the unstable suite has, and a newer MariaDB.
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

/// A package with a server.
struct Package {
    name: &'static str,
    suite: &'static str,
    /// The name of its tree in the cache.
    tree: &'static str,
    megabytes: u32,
}

const MYSQL: Package = Package {
    name: "mysql-server-core",
    suite: "unstable",
    tree: "mysql-unstable",
    megabytes: 60,
};

const NEWER_MARIADB: Package = Package {
    name: "mariadb-server-core",
    suite: "trixie",
    tree: "mariadb-trixie",
    megabytes: 15,
};

pub fn mysql() -> Outcome<Program> {
    let tree = MYSQL.provide()?;
    let (command, root) = command(&tree, "mysqld")?;
    Ok(Program::mysql(command, root))
}

pub fn newer_mariadb() -> Outcome<Program> {
    let tree = NEWER_MARIADB.provide()?;
    let (command, root) = command(&tree, "mariadbd")?;
    Ok(Program::mariadb_in(&tree, command, root))
}

/// Whether this machine can download it.
pub fn is_possible() -> bool {
    has("apt-get") && has("dpkg-deb") && mirror::keyring().is_some()
}

/// The command that starts the server of a tree, and the root directory that the command changes to.
fn command(tree: &Path, server: &str) -> Outcome<(Vec<OsString>, Option<PathBuf>)> {
    if machine::is_root() {
        Ok((in_chroot(tree, server)?, Some(tree.to_owned())))
    } else {
        Ok((with_loader(tree, server)?, None))
    }
}

fn in_chroot(tree: &Path, server: &str) -> Outcome<Vec<OsString>> {
    let owner = Owner::of("mysql").ok_or("only root can use chroot")?;
    let user = format!("--userspec={}:{}", owner.uid, owner.gid);
    Ok(vec![
        "chroot".into(),
        user.into(),
        tree.into(),
        format!("/usr/sbin/{server}").into(),
    ])
}

fn with_loader(tree: &Path, server: &str) -> Outcome<Vec<OsString>> {
    let usr = tree.join("usr");
    let loader =
        entry(&usr.join("lib64"), "ld-linux").or_else(|_| entry(&usr.join("lib"), "ld-linux"))?;
    let libraries = entry(&usr.join("lib"), "-linux-gnu")?;
    let words = [
        loader,
        "--library-path".into(),
        libraries,
        usr.join("sbin").join(server),
    ];
    Ok(words.map(OsString::from).into())
}

impl Package {
    /// The server's tree in the cache. Downloads the server if the cache has none.
    fn provide(&self) -> Outcome<PathBuf> {
        let cache = place::absolute(&place::cache()?)?;
        let tree = cache.join(self.tree);
        if !tree.exists() {
            let _lock = lock(&cache.join("lock"))?;
            if !tree.exists() {
                self.fetch(&cache.join(format!("{}.part", self.tree)), &tree)?;
            }
        }
        let version = fs::read_to_string(tree.join("version")).unwrap_or_default();
        let (name, suite) = (self.name, self.suite);
        println!("{name} {version} of Debian {suite}, in {}", tree.display());
        Ok(tree)
    }

    fn fetch(&self, work: &Path, tree: &Path) -> Outcome {
        println!(
            "downloading {} from Debian {}: about {} MB, once for this user",
            self.name, self.suite, self.megabytes
        );
        let _ = fs::remove_dir_all(work);
        let unpacked = work.join("tree");
        self.download(work)?;
        for package in packages(work)? {
            shell::output(
                Command::new("dpkg-deb")
                    .arg("--extract")
                    .arg(package)
                    .arg(&unpacked),
            )?;
        }
        self.complete(work, &unpacked)
            .and_then(|()| fs::rename(&unpacked, tree))
            .and_then(|()| fs::remove_dir_all(work))
            .map_err(|e| format!("cannot make {}: {e}", tree.display()))
    }

    fn download(&self, work: &Path) -> Outcome {
        place::create(&work.join("lists/partial"))?;
        place::create(&work.join("archives/partial"))?;
        let write =
            |name: &str, text: String| fs::write(work.join(name), text).map_err(|e| e.to_string());
        write("status", String::new())?;
        write("sources.list", mirror::suite(self.suite)?)?;
        write("apt.conf", configuration(work))?;
        let apt = |words: &[&str]| {
            shell::output(
                Command::new("apt-get")
                    .args(words)
                    .env("APT_CONFIG", work.join("apt.conf")),
            )
        };
        apt(&["--quiet=2", "update"])?;
        apt(&[
            "--quiet=2",
            "--yes",
            "--download-only",
            "install",
            self.name,
        ])
        .map(drop)
    }

    /// Adds what the scripts of the packages would create: the links of the merged `/usr`, and a directory for data.
    fn complete(&self, work: &Path, tree: &Path) -> std::io::Result<()> {
        symlink("usr/lib", tree.join("lib"))?;
        symlink("usr/lib64", tree.join("lib64"))?;
        fs::create_dir(tree.join("tmp"))?;
        fs::set_permissions(tree.join("tmp"), fs::Permissions::from_mode(0o1777))?;
        fs::write(tree.join("version"), self.version(work).unwrap_or_default())
    }

    /// The version in `mysql-server-core_9.7.4-2_amd64.deb`, without an epoch.
    fn version(&self, work: &Path) -> Option<String> {
        let package = entry(&work.join("archives"), self.name).ok()?;
        let name = package.file_name()?.to_str()?;
        let version = name.split('_').nth(1)?;
        Some(version.rsplit("%3a").next()?.to_owned())
    }
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
