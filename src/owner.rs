//! The label by which people recognise the holder of a lock.

use std::sync::{Arc, OnceLock};

/// `program[process id]@host`, determined once per process.
pub(crate) fn this_process() -> Arc<str> {
    static LABEL: OnceLock<Arc<str>> = OnceLock::new();
    let label = LABEL.get_or_init(|| {
        let label = format!("{}[{}]@{}", program(), std::process::id(), host());
        let readable: String = label
            .chars()
            .filter(|c| !c.is_control())
            .take(255)
            .collect();
        readable.into()
    });
    label.clone()
}

fn program() -> String {
    let path = std::env::current_exe().ok();
    let name = path.as_deref().and_then(std::path::Path::file_name);
    name.map_or_else(
        || "unknown".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

#[cfg(unix)]
fn host() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "unknown".to_owned())
}
