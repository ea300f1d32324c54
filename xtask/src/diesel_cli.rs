//! The Diesel CLI, for the tests that embed the crate in an application. It comes from the crate registry, with the
//! drivers of the engines under test.
//!
//! It is installed into the cache, once for each user. A failed installation leaves no partial program in the cache.

use crate::engine::Engine;
use crate::lock::lock;
use crate::{Outcome, client, place, shell};
use std::path::{Path, PathBuf};
use std::process::Command;

const VERSION: &str = "2.3.14";

/// The path of the program. Installs the program if it is missing.
pub fn provide(engines: &[Engine]) -> Outcome<PathBuf> {
    let cache = place::absolute(&place::cache()?)?;
    let all = place_of(&cache, &Engine::ALL);
    if all.exists() {
        return Ok(program(&all));
    }
    let place = place_of(&cache, engines);
    if !place.exists() {
        let _lock = lock(&cache.join("diesel-cli.lock"))?;
        if !place.exists() {
            install(engines, &place)?;
        }
    }
    Ok(program(&place))
}

fn program(place: &Path) -> PathBuf {
    place.join("bin/diesel")
}

fn place_of(cache: &Path, engines: &[Engine]) -> PathBuf {
    let drivers = drivers(engines).join("-");
    cache.join(format!("diesel-cli-{VERSION}-{drivers}"))
}

/// The features of the Diesel CLI. SQLite is built in, as in the tests.
fn drivers(engines: &[Engine]) -> Vec<&'static str> {
    let driver = |engine: &Engine| match engine.feature() {
        "sqlite" => "sqlite-bundled",
        feature => feature,
    };
    let mut drivers: Vec<_> = engines.iter().map(driver).collect();
    drivers.dedup();
    drivers
}

fn install(engines: &[Engine], place: &Path) -> Outcome {
    println!("installing the Diesel CLI {VERSION}: takes minutes, once for this user");
    let part = PathBuf::from(format!("{}.part", place.display()));
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "install",
            "--quiet",
            "--locked",
            "diesel_cli",
            "--version",
            VERSION,
        ])
        .args([
            "--no-default-features",
            "--features",
            &drivers(engines).join(","),
        ])
        .args(["--no-track", "--force", "--root"])
        .arg(&part)
        .envs(client::variables());
    shell::run(&mut cargo)?;
    std::fs::rename(&part, place).map_err(|e| format!("cannot make {}: {e}", place.display()))
}

#[cfg(test)]
mod tests {
    use super::drivers;
    use crate::engine::Engine;

    #[test]
    fn mariadb_and_mysql_share_a_driver() {
        assert_eq!(
            drivers(&Engine::ALL),
            ["postgres", "mysql", "sqlite-bundled"]
        );
        assert_eq!(drivers(&[Engine::MariaDb]), ["mysql"]);
    }
}
