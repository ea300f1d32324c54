//! A private server, and the shell that ends it.
//!
//! - The parent of the server is a small shell, the keeper. It reads from a pipe that this process holds open. When
//!   this process ends, for whatever reason, the pipe closes: the keeper ends the server by its process id, and removes
//!   the directory of the server.
//! - The keeper has a process group of its own, so that Ctrl-C at the terminal does not reach it.
//! - If the server ends by itself, the keeper creates the file `ended` beside the log, and sends no signal.

use crate::Outcome;
use crate::machine::{Owner, free_port};
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const KEEPER: &str = r#"
exec 3<&0
sh -c "$SCRIPT" server "$@" </dev/null >"$DIR/log" 2>&1 3<&- &
server=$!
{ read -r _ <&3; [ -e "$DIR/ended" ] || eval "$STOP"; } &
wait "$server"
: >"$DIR/ended"
wait
for _ in 1 2 3 4 5; do rm -rf "$DIR" && break; sleep 1; done
"#;

/// The longest time from the start of a server to its first answer.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// How to start one server. Scripts read their paths from the environment, so that no path needs quoting.
pub struct Recipe {
    /// A directory for this server alone. It is removed when the server ends.
    pub directory: PathBuf,
    /// The user that the keeper runs as.
    pub owner: Option<Owner>,
    /// Prepares `$DIR`, then turns into the server (`exec`).
    pub script: String,
    /// The arguments of the script.
    pub command: Vec<OsString>,
    /// The script that ends `$server`, the process of the server.
    pub stop: String,
    pub variables: Vec<(&'static str, OsString)>,
    pub url: String,
    /// Whether the server answers. It is called repeatedly.
    pub ready: Box<dyn Fn() -> bool>,
}

/// A running server. Dropping it ends the server.
pub struct Server {
    pub url: String,
    directory: PathBuf,
    keeper: Child,
}

impl Server {
    /// Starts a server on a free port. Tries again, because another program may have taken the port meanwhile.
    pub fn start(recipe: impl Fn(u16) -> Outcome<Recipe>) -> Outcome<Self> {
        let attempt = || Self::try_start(recipe(free_port()?)?);
        attempt().or_else(|_| attempt()).or_else(|_| attempt())
    }

    fn try_start(recipe: Recipe) -> Outcome<Self> {
        let server = Self {
            keeper: keeper(&recipe)?,
            directory: recipe.directory,
            url: recipe.url,
        };
        let deadline = Instant::now() + START_TIMEOUT;
        while !(recipe.ready)() {
            if server.last_words().is_some() || Instant::now() > deadline {
                return Err(format!(
                    "a server did not start; its log:\n{}",
                    server.log()
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// The log of a server that has ended by itself. `None` while the server runs.
    pub fn last_words(&self) -> Option<String> {
        self.directory.join("ended").exists().then(|| self.log())
    }

    fn log(&self) -> String {
        let log = fs::read(self.directory.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn keeper(recipe: &Recipe) -> Outcome<Child> {
    let mut command = Command::new("sh");
    command
        .args(["-c", KEEPER, "keeper"])
        .args(&recipe.command)
        .current_dir(&recipe.directory)
        .env("SCRIPT", &recipe.script)
        .env("STOP", &recipe.stop)
        .env("DIR", &recipe.directory)
        .envs(recipe.variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    if let Some(owner) = recipe.owner {
        command.uid(owner.uid).gid(owner.gid);
    }
    command
        .spawn()
        .map_err(|e| format!("cannot start a shell: {e}"))
}
