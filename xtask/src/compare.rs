//! `cargo xtask bench compare COMMIT`: is the present code faster or slower than that commit?
//!
//! The two programs run in turn, each on fresh servers, for several rounds. So other load on the machine affects both.
//! `DIESEL_LOCKS_CHAPTERS` in the environment, for example `pairs,busy`, names the chapters to measure.

use crate::engine::{self, Engine};
use crate::servers::Servers;
use crate::{Outcome, client, packages, place, shell};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROUNDS: usize = 5;

/// Runs the short form of the benchmark of both, and prints their figures side by side.
pub fn compare(commit: &str, engines: &[Engine]) -> Outcome {
    packages::provide(engines)?;
    let folder = place::absolute(Path::new("target/compare"))?;
    let _ = fs::remove_dir_all(&folder);
    place::create(&folder)?;
    let workspace = place::absolute(Path::new("."))?;
    let before = checkout(commit, &folder)?;
    let sides = [
        Side::build("before", &before, &folder)?,
        Side::build("now", &workspace, &folder)?,
    ];
    for round in 1..=ROUNDS {
        for side in &sides {
            side.measure(round, engines, &folder)?;
        }
    }
    shell::run(Command::new(&sides[1].program).arg("compare").arg(&folder))
}

/// The files of a commit, in a folder of their own.
fn checkout(commit: &str, folder: &Path) -> Outcome<PathBuf> {
    let (archive, tree) = (folder.join("before.tar"), folder.join("before-tree"));
    place::create(&tree)?;
    let mut git = Command::new("git");
    shell::run(git.args(["archive", "--output"]).arg(&archive).arg(commit))?;
    let mut tar = Command::new("tar");
    shell::run(tar.arg("-xf").arg(&archive).arg("-C").arg(&tree))?;
    Ok(tree)
}

/// The benchmark of one of the two.
struct Side<'a> {
    name: &'static str,
    tree: &'a Path,
    program: PathBuf,
}

impl<'a> Side<'a> {
    /// Builds the program. Both are built in the workspace's `target`, so that their dependencies are built once.
    fn build(name: &'static str, tree: &'a Path, folder: &Path) -> Outcome<Self> {
        let target = place::absolute(Path::new("target"))?;
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--package", "diesel-locks-bench"]);
        cargo.envs(client::variables()).current_dir(tree);
        shell::run(cargo.env("CARGO_TARGET_DIR", &target))?;
        let program = folder.join(name);
        fs::copy(target.join("release/diesel-locks-bench"), &program)
            .map_err(|e| format!("cannot copy the program of the benchmark: {e}"))?;
        Ok(Self {
            name,
            tree,
            program,
        })
    }

    /// Runs the program once, and keeps its figures.
    fn measure(&self, round: usize, engines: &[Engine], folder: &Path) -> Outcome {
        let servers = Servers::start_durable(engines)?;
        let mut program = Command::new(&self.program);
        program.arg("short").envs(servers.variables());
        program.env("DIESEL_LOCKS_ENGINES", engine::list(engines));
        shell::run(program.current_dir(self.tree))?;
        let figures = self.tree.join("benches/results/short.json");
        fs::copy(figures, folder.join(format!("{}-{round}.json", self.name)))
            .map(drop)
            .map_err(|e| format!("cannot copy the figures: {e}"))
    }
}
