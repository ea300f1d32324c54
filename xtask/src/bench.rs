//! `cargo xtask bench`: the measurements of `benches` on servers of their own.
//!
//! The servers flush every commit to disk, as they do in production: most of the cost of a lock is the cost of its
//! commits.

use crate::engine::{self, Engine};
use crate::servers::Servers;
use crate::{Outcome, client, packages, redis, shell};
use std::process::Command;

const PACKAGE: [&str; 2] = ["--package", "diesel-locks-bench"];

/// Runs the measurements, `short` or `full`, and then the benchmarks that need no server.
pub fn bench(form: &str, engines: &[Engine]) -> Outcome {
    packages::provide(engines)?;
    let cargo = |words: &[&str]| {
        let mut cargo = Command::new("cargo");
        cargo.args(words).args(PACKAGE).envs(client::variables());
        cargo
    };
    shell::run(&mut cargo(&["build", "--release"]))?;
    let servers = Servers::start_durable(engines)?;
    let redis = if engines.contains(&Engine::Postgres) {
        packages::try_redis();
        redis::start()?
    } else {
        None
    };
    let mut measure = cargo(&["run", "--release", "--quiet"]);
    measure.args(["--", form]).envs(servers.variables());
    measure.envs(redis.iter().map(|server| ("REDIS_URL", &server.url)));
    shell::run(measure.env("DIESEL_LOCKS_ENGINES", engine::list(engines)))?;
    drop(servers);
    let mut pure = cargo(&["bench", "--bench", "pure"]);
    if form == "short" {
        pure.args(["--", "--quick"]);
    }
    shell::run(&mut pure)
}
