//! A private server, and the shell that keeps it.
//!
//! - The server's parent is a small shell that waits for the end of its standard input. We hold the
//!   other end of that pipe: however this process ends, by return, Ctrl-C or `kill -9`, the pipe
//!   closes, and the shell ends the server by its process id and removes its directory.
//! - The shell leads a process group of its own, so that a Ctrl-C at the terminal does not reach it.
//! - A server that ends by itself leaves `ended` beside its log; the shell then signals nobody.

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

/// How long a server may take from nothing to its first answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// How to make one server. Scripts find their paths in the environment, so nothing needs quoting.
pub struct Recipe {
    /// A directory that was made for this server alone: it is removed with it.
    pub directory: PathBuf,
    /// Whom the keeper runs as.
    pub owner: Option<Owner>,
    /// Prepares `$DIR` and then becomes the server (`exec`).
    pub script: String,
    /// The script's arguments.
    pub command: Vec<OsString>,
    /// Ends `$server`, the process of the script.
    pub stop: String,
    pub variables: Vec<(&'static str, OsString)>,
    pub url: String,
    /// Whether it answers; asked again and again.
    pub ready: Box<dyn Fn() -> bool>,
}

/// A running server; ended when dropped.
pub struct Server {
    pub url: String,
    directory: PathBuf,
    keeper: Child,
}

impl Server {
    /// Starts a server on a free port, on another one if somebody was quicker to take it.
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
        let deadline = Instant::now() + PATIENCE;
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

    /// What it said before it ended by itself; `None` while it runs.
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
