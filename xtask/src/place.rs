//! Directories: the workspace, its `target`, the cache, and directories that a server's user can access.

use crate::Outcome;
use crate::machine::{self, Owner};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Changes to the directory of the workspace, so that paths stay short: the path of a socket has 107 bytes at most.
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
    create(&path)?;
    Ok(path)
}

/// The directory for downloads. All checkouts of this user share it.
pub fn cache() -> Outcome<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let path = base
        .or_else(home)
        .ok_or("neither XDG_CACHE_HOME nor HOME is set")?
        .join("diesel-locks");
    create(&path)?;
    Ok(path)
}

/// A new private directory. If root runs this program, the directory is in the temporary directory: the user that the
/// server runs as may have no access to the checkout.
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
                "{} has too many old directories of this project: remove them",
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

/// Creates `path` and its parents.
pub fn create(path: &Path) -> Outcome {
    fs::create_dir_all(path).map_err(|e| format!("cannot make {}: {e}", path.display()))
}

pub fn absolute(path: &Path) -> Outcome<PathBuf> {
    std::path::absolute(path).map_err(|e| e.to_string())
}

/// A temporary directory that every user can access.
fn open_temporary() -> Outcome<PathBuf> {
    let enterable =
        |path: &Path| fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o001 != 0);
    [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()]
        .into_iter()
        .find(|path| path.ancestors().all(enterable))
        .ok_or_else(|| {
            "no temporary directory that every user can access: set TMPDIR to one".to_owned()
        })
}
