//! Servers and client libraries that this machine lacks, installed by apt.
//!
//! - Packages are installed only as root, on Debian and its derivatives. Elsewhere the error says what to install.
//! - The installation starts no system server and creates no cluster.
//! - The shell that installs has a process group of its own, because Ctrl-C could interrupt dpkg halfway. The shell
//!   removes its configuration files even if this process has ended meanwhile.

use crate::engine::Engine::{self, MariaDb, MySql, Postgres};
use crate::engine::given;
use crate::machine::{has, is_root};
use crate::mysql::{self, Program};
use crate::version::NEWER_MARIADB;
use crate::{Outcome, client, debian, docker, npm, pgbouncer, place, postgres, redis, shell};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// - Debian runs `policy-rc.d` before a package starts its service, and 101 means no. A file that exists already
///   belongs to the administrator and stays.
/// - `apt-get update` does not wait for the lock of the package lists, so the script tries again.
const INSTALL: &str = r#"
export DEBIAN_FRONTEND=noninteractive
exec 9>"$LOCK"; flock 9
policy=/usr/sbin/policy-rc.d
cluster=/etc/postgresql-common/createcluster.d/diesel-locks.conf
trap 'rm -f "$cluster"; if [ "$ours" ]; then rm -f "$policy"; fi' EXIT
if [ ! -e "$policy" ]; then
  ours=yes
  printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" || exit
fi
mkdir -p "${cluster%/*}" && echo 'create_main_cluster = false' >"$cluster" || exit
n=0
until said=$(apt-get --quiet=2 update 2>&1); do
  n=$((n + 1))
  case $said in *lock*) [ "$n" -lt 300 ] && sleep 2 && continue ;; esac
  echo "$said"
  exit 1
done
apt-get --quiet=2 --yes --no-install-recommends -o DPkg::Lock::Timeout=600 install "$@" 2>&1
"#;

/// Installs the packages that these engines need and this machine lacks. If it cannot, the error says what to install.
pub fn provide(engines: &[Engine]) -> Outcome {
    install_or_advise(&[missing_clients(engines), missing_servers(engines)].concat())
}

/// [`provide`] for the client libraries alone.
pub fn provide_clients() -> Outcome {
    install_or_advise(&missing_clients(&Engine::ALL))
}

/// Installs Redis if this machine lacks it. The benchmark also runs without Redis, so a failure is only told.
pub fn try_redis() {
    let can_install = is_root() && has("apt-get");
    if redis::program().is_some() || !can_install {
        return;
    }
    if let Err(failure) = install(&["redis-server"]) {
        eprintln!("{failure}");
    }
}

fn install_or_advise(missing: &[&'static str]) -> Outcome {
    if missing.is_empty() {
        return Ok(());
    }
    if is_root() && has("apt-get") {
        return install(missing);
    }
    let in_docker = |package: &str| package != "pgbouncer" && !package.starts_with("lib");
    let needs = |package: &&&str| !in_docker(package) || !docker::is_running();
    let needed: Vec<&str> = missing.iter().filter(needs).copied().collect();
    if needed.is_empty() {
        Ok(())
    } else {
        Err(advice(&needed))
    }
}

fn install(packages: &[&str]) -> Outcome {
    // Not to standard output: a shell evaluates that of `servers up`.
    eprintln!("apt-get install {}", packages.join(" "));
    let lock = place::absolute(&place::cache()?.join("apt.lock"))?;
    let mut command = Command::new("sh");
    command
        .args(["-c", INSTALL, "install"])
        .args(packages)
        .env("LOCK", lock)
        .process_group(0);
    shell::output(&mut command).map(drop).map_err(|failure| {
        let log = failure.lines().rev().take(20).collect::<Vec<_>>();
        let log = log.into_iter().rev().collect::<Vec<_>>().join("\n");
        format!(
            "{log}\n\nThe installation failed. Try it by hand:\n  {}",
            by_hand(packages)
        )
    })
}

fn missing_clients(engines: &[Engine]) -> Vec<&'static str> {
    let asked = |engine| engines.contains(&engine);
    chosen(&[
        ("libpq-dev", asked(Postgres) && client::postgres().is_none()),
        (
            "libmariadb-dev-compat",
            (asked(MariaDb) || asked(MySql)) && client::mysql().is_none(),
        ),
    ])
}

fn missing_servers(engines: &[Engine]) -> Vec<&'static str> {
    let asked = |engine: Engine| engines.contains(&engine) && engine.given().is_none();
    let fetches_mysql = asked(MySql) && mysql::mysqld(false).is_none();
    let fetches_mariadb = engines.contains(&MariaDb) && given(NEWER_MARIADB).is_none();
    chosen(&[
        (
            "postgresql",
            asked(Postgres) && postgres::binaries().is_none(),
        ),
        (
            "ca-certificates",
            engines.contains(&Postgres) && npm::lacks_certificates(),
        ),
        (
            "mariadb-server",
            asked(MariaDb) && Program::mariadb().is_none(),
        ),
        (
            "pgbouncer",
            engines.contains(&Postgres) && pgbouncer::is_missing(),
        ),
        (
            "debian-archive-keyring",
            (fetches_mysql || fetches_mariadb) && !debian::is_possible(),
        ),
    ])
}

fn chosen(packages: &[(&'static str, bool)]) -> Vec<&'static str> {
    packages
        .iter()
        .filter(|(_, missing)| *missing)
        .map(|(package, _)| *package)
        .collect()
}

fn advice(packages: &[&str]) -> String {
    format!(
        "Missing: {}. Any of these helps:
- on Debian or Ubuntu: run this command again as root, and it installs the packages
- by hand:  {}
- for the servers: set {} to databases that tests may fill, and {} to PgBouncer in front of PostgreSQL
- for the servers: start a Docker engine",
        packages.join(", "),
        by_hand(packages),
        Engine::ALL
            .into_iter()
            .filter_map(Engine::variable)
            .collect::<Vec<_>>()
            .join(", "),
        pgbouncer::VARIABLE
    )
}

fn by_hand(packages: &[&str]) -> String {
    format!("apt-get update && apt-get install {}", packages.join(" "))
}
