//! The crates that an application with Diesel builds in addition.

use std::collections::BTreeSet;
use std::error::Error;
use std::process::Command;

use crate::figure::{Figures, Reach};

pub fn measure(figures: &mut Figures) -> Result<(), Box<dyn Error>> {
    println!("\nbuilding");
    let engines = "postgres,mysql,sqlite";
    let blocking = added(engines, &["diesel", "diesel_migrations"])?;
    let asynchronous = added(
        &format!("{engines},async"),
        &["diesel", "diesel_migrations", "diesel-async"],
    )?;
    for (what, added) in [("blocking", blocking), ("async", asynchronous)] {
        let names = added.into_iter().collect::<Vec<_>>();
        let what = format!("crates added, {what}: {}", names.join(", "));
        let count = f64::from(u32::try_from(names.len())?);
        figures.reaching(
            ("building", "–"),
            what,
            (count, "crates"),
            Some(Reach::AtMost(5.0)),
        );
    }
    Ok(())
}

/// The dependencies of diesel-locks that are not dependencies of one of these packages.
fn added(features: &str, had: &[&str]) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let mut ours = tree(&["--package", "diesel-locks", "--features", features])?;
    for package in had {
        for name in tree(&["--package", package])? {
            ours.remove(&name);
        }
    }
    Ok(ours)
}

fn tree(words: &[&str]) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "tree",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .args(words);
    let output = cargo.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let name = |line: &str| line.split(' ').next().map(str::to_owned);
    Ok(String::from_utf8(output.stdout)?
        .lines()
        .filter_map(name)
        .collect())
}
