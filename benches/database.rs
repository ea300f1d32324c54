//! The database of an engine. It has the table of the locks and the table of the limit, with all names in both.

use diesel_locks::blocking::migrate;

use crate::bare::Bench;
use crate::engine::{Engine, on};
use crate::names::NAMES;
use crate::rows::fill;

pub struct Database {
    pub engine: Engine,
    pub url: String,
    /// The folder of the SQLite file.
    _folder: Option<Folder>,
}

impl Database {
    /// Opens and fills the database. `None` if the engine was not asked for, or has no server.
    pub fn of(engine: Engine) -> Option<Self> {
        let asked = std::env::var("DIESEL_LOCKS_ENGINES");
        if asked.is_ok_and(|asked| !asked.split(',').any(|word| word == engine.word())) {
            return None;
        }
        let (url, folder) = if let Some(variable) = engine.variable() {
            (std::env::var(variable).ok()?, None)
        } else {
            let folder = Folder::new();
            (
                folder.0.join("bench.db").display().to_string(),
                Some(folder),
            )
        };
        on!(engine, make(engine, &url));
        Some(Self {
            engine,
            url,
            _folder: folder,
        })
    }

    /// A database that another process has filled.
    pub fn at(engine: Engine, url: &str) -> Self {
        let url = url.to_owned();
        Self {
            engine,
            url,
            _folder: None,
        }
    }

    pub fn open<C: Bench>(&self) -> C {
        C::open(&self.url)
    }
}

fn make<C: Bench>(engine: Engine, url: &str) {
    let mut conn = C::open(url);
    migrate(&mut conn).unwrap();
    conn.batch_execute("DROP TABLE IF EXISTS bare").unwrap();
    conn.batch_execute(C::TABLE).unwrap();
    fill(&mut conn, engine, "diesel_locks", "name-", NAMES);
    conn.batch_execute("INSERT INTO bare (name, token, fence, expires_at) SELECT name, NULL, 1, 0 FROM diesel_locks")
        .unwrap();
}

/// A folder that is removed when dropped.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("diesel-locks-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
