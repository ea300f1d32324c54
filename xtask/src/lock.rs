//! A lock between the runs of this program on one machine.

use crate::Outcome;
use std::fs::File;
use std::path::Path;

/// Waits until no other run holds the lock of this file. The lock is free again when the returned file is dropped or
/// this process ends, for whatever reason.
pub fn lock(path: &Path) -> Outcome<File> {
    File::create(path)
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|e| format!("cannot lock {}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::lock;
    use std::fs::{File, TryLockError, remove_file};

    #[test]
    fn a_lock_is_held_until_it_is_dropped() {
        let path = std::env::temp_dir().join(format!("diesel-locks-xtask-{}", std::process::id()));
        let held = lock(&path).unwrap();
        let other = File::open(&path).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        other.try_lock().unwrap();
        remove_file(&path).unwrap();
    }
}
