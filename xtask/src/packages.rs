//! What apt installs where nothing else is there: servers and client libraries.
//!
//! - It happens where it can: as root on Debian and its family.
//! - No system server starts and no cluster is made, neither now nor because of what we leave behind.
//! - The installing shell has a process group of its own: Ctrl-C at the wrong moment would leave dpkg
//!   in the middle. It also removes what it wrote if this process is gone by then.

use crate::engine::Engine::{self, MariaDb, MySql, Postgres};
use crate::machine::{has, is_root};
use crate::mysql::{self, Program};
use crate::{Outcome, client, docker, place, postgres, shell, unstable};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// `policy-rc.d` is how Debian asks whether a package may start its service (101: no); one that is
/// there already is the administrator's word. `apt-get update` does not wait for the lists' lock.
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

/// Installs what these engines need and the machine lacks, if it can; says what to install if not.
pub fn provide(engines: &[Engine]) -> Outcome {
    install_or_advise(&[missing_clients(engines), missing_servers(engines)].concat())
}

/// The same for the client libraries alone.
pub fn provide_clients() -> Outcome {
    install_or_advise(&missing_clients(&Engine::ALL))
}

fn install_or_advise(missing: &[&'static str]) -> Outcome {
    if missing.is_empty() {
        return Ok(());
    }
    if is_root() && has("apt-get") {
        return install(missing);
    }
    let needs = |package: &&&str| package.starts_with("lib") || !docker::is_running();
    let needed: Vec<&str> = missing.iter().filter(needs).copied().collect();
    if needed.is_empty() {
        Ok(())
    } else {
        Err(advice(&needed))
    }
}

fn install(packages: &[&str]) -> Outcome {
    println!("apt-get install {}", packages.join(" "));
    let lock = place::absolute(&place::cache()?.join("apt.lock"))?;
    let mut command = Command::new("sh");
    command
        .args(["-c", INSTALL, "install"])
        .args(packages)
        .env("LOCK", lock)
        .process_group(0);
    shell::output(&mut command).map(drop).map_err(|failure| {
        let said = failure.lines().rev().take(20).collect::<Vec<_>>();
        let said = said.into_iter().rev().collect::<Vec<_>>().join("\n");
        format!(
            "{said}\n\nThe installation failed. Try it by hand:\n  {}",
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
    chosen(&[
        (
            "postgresql",
            asked(Postgres) && postgres::binaries().is_none(),
        ),
        (
            "mariadb-server",
            asked(MariaDb) && Program::mariadb().is_none(),
        ),
        (
            "debian-archive-keyring",
            asked(MySql) && mysql::mysqld(false).is_none() && !unstable::is_possible(),
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
        "Missing: {}. Any of these mends it:
- as root on Debian or Ubuntu, the same command again: it installs them
- by hand:  {}
- servers of yours, with a database that tests may fill:  {}
- for the servers, not for the libraries: a running Docker engine",
        packages.join(", "),
        by_hand(packages),
        Engine::ALL
            .into_iter()
            .filter_map(Engine::variable)
            .collect::<Vec<_>>()
            .join(", ")
    )
}

fn by_hand(packages: &[&str]) -> String {
    format!("apt-get update && apt-get install {}", packages.join(" "))
}
