//! Where things go: the workspace, its `target`, directories that a server's user may enter.

use crate::Outcome;
use crate::machine::{self, Owner};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Makes the workspace the current directory, so that paths stay short (a socket's holds 107 bytes).
pub fn enter_workspace() -> Outcome {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."));
    std::env::set_current_dir(workspace)
        .map_err(|e| format!("cannot enter {}: {e}", workspace.display()))
}

/// The directory below `target` for the state of servers.
pub fn state() -> Outcome<PathBuf> {
    let path = Path::new("target").join("servers");
    made(&path)?;
    Ok(path)
}

/// Where this project keeps what it fetched, for all checkouts of this user.
pub fn cache() -> Outcome<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let path = base
        .or_else(home)
        .ok_or("neither XDG_CACHE_HOME nor HOME is set")?
        .join("diesel-locks");
    made(&path)?;
    Ok(path)
}

/// A new private directory. A checkout below a home directory of mode 0700 is closed to the user
/// that root starts a server as: then it lies in the temporary directory.
pub fn private(name: &str, owner: Option<&Owner>) -> Outcome<PathBuf> {
    let base = if machine::is_root() {
        open_temporary()?
    } else {
        absolute(&state()?)?
    };
    private_below(&base, name, owner)
}

/// A new directory of mode 0700 below `base`.
pub fn private_below(base: &Path, name: &str, owner: Option<&Owner>) -> Outcome<PathBuf> {
    let path = (0..100)
        .map(|n| base.join(format!("diesel-locks-{name}-{}-{n}", std::process::id())))
        .find(|path| !path.exists())
        .ok_or_else(|| {
            format!(
                "{} is full of old directories of this project",
                base.display()
            )
        })?;
    fs::create_dir(&path)
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o700)))
        .and_then(|()| {
            owner.map_or(Ok(()), |owner| {
                chown(&path, Some(owner.uid), Some(owner.gid))
            })
        })
        .map_err(|e| format!("cannot make {}: {e}", path.display()))?;
    Ok(path)
}

/// Makes `path` and its parents.
pub fn made(path: &Path) -> Outcome {
    fs::create_dir_all(path).map_err(|e| format!("cannot make {}: {e}", path.display()))
}

pub fn absolute(path: &Path) -> Outcome<PathBuf> {
    std::path::absolute(path).map_err(|e| e.to_string())
}

/// A temporary directory that every user may enter.
fn open_temporary() -> Outcome<PathBuf> {
    let enterable =
        |path: &Path| fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o001 != 0);
    [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()]
        .into_iter()
        .find(|path| path.ancestors().all(enterable))
        .ok_or_else(|| {
            "no temporary directory that every user may enter; set TMPDIR to one".to_owned()
        })
}
