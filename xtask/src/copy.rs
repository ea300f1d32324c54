//! A copy of the crate and its tests, for another `Cargo.lock` than the project's.

use crate::{Outcome, client, place, shell};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is copied.
const FILES: [&str; 8] = [
    "Cargo.toml",
    "README.md",
    "diesel.toml",
    "docs",
    "examples",
    "migrations",
    "src",
    "tests",
];

pub struct Copy {
    folder: PathBuf,
    target: PathBuf,
}

impl Copy {
    /// Copies the files that git knows, or would, to a folder below `target`. They keep their dates, so that cargo builds only
    /// what has changed. `edit` changes the manifest.
    pub fn new(name: &str, edit: impl Fn(&str) -> String) -> Outcome<Self> {
        let target = place::absolute(&Path::new("target").join(name))?;
        let folder = target.join("copy");
        let _ = fs::remove_dir_all(&folder);
        let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
        let files = shell::output(Command::new("git").args(list).args(FILES))?;
        for file in files.lines().filter(|file| Path::new(file).exists()) {
            copy(Path::new(file), &folder.join(file))
                .map_err(|e| format!("cannot copy {file}: {e}"))?;
        }
        let manifest = fs::read_to_string("Cargo.toml").map_err(|e| e.to_string())?;
        fs::write(folder.join("Cargo.toml"), edit(&two_members(&manifest)))
            .map_err(|e| format!("cannot write the manifest of the copy: {e}"))?;
        Ok(Self { folder, target })
    }

    /// A file of the copy.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A command of cargo in the copy.
    pub fn cargo(&self, words: &[&str]) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.args(words).current_dir(&self.folder);
        cargo.env("CARGO_TARGET_DIR", &self.target);
        cargo.envs(client::variables());
        cargo
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(Path::new(".")))?;
    fs::copy(from, to)?;
    let date = fs::metadata(from)?.modified()?;
    File::options().write(true).open(to)?.set_modified(date)
}

/// The manifest with no other members than the crate and its tests.
fn two_members(manifest: &str) -> String {
    let lines = manifest
        .lines()
        .map(|line| match line.strip_prefix("members = ") {
            Some(_) => r#"members = [".", "tests"]"#,
            None => line,
        });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::two_members;

    #[test]
    fn the_copy_has_two_members() {
        let copy = two_members(include_str!("../../Cargo.toml"));
        assert!(copy.contains("\nmembers = [\".\", \"tests\"]\n"));
        assert_eq!(
            copy.matches("members = [").count(),
            2,
            "default-members, too"
        );
    }
}
