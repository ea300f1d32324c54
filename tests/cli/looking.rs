//! `list` and `show` for a role that may only look: what the guide `embedding` grants it is enough.

use diesel_locks::Lock;

use crate::database::{Database, Engine, unique};
use crate::list::{held, migrated};

/// A role that may read the view of the held locks. It is removed when dropped.
struct Looker {
    database: Database,
    user: String,
    own: String,
}

impl Looker {
    /// SQLite knows no roles.
    fn on(mut database: Database) -> Option<Self> {
        database.engine.server()?;
        let name = format!("looker_{}", unique());
        let (user, create) = match database.engine.dialect() {
            "postgres" => (name.clone(), format!("CREATE ROLE {name} LOGIN")),
            _ => (format!("{name}@'%'"), format!("CREATE USER {name}@'%'")),
        };
        database.batch(&create);
        database.batch(&format!("GRANT SELECT ON diesel_locks_held TO {user}"));
        let (scheme, rest) = database.url.split_once("://").unwrap();
        let place = rest.split_once('@').unwrap().1;
        let url = format!("{scheme}://{name}@{place}");
        let own = std::mem::replace(&mut database.url, url);
        Some(Self {
            database,
            user,
            own,
        })
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        self.database.url.clone_from(&self.own);
        let user = &self.user;
        match self.database.engine.dialect() {
            "postgres" => self
                .database
                .batch(&format!("DROP OWNED BY {user}; DROP ROLE {user}")),
            _ => self.database.batch(&format!("DROP USER {user}")),
        }
    }
}

pub fn the_view_is_enough_for_held_locks(engine: Engine) {
    let database = migrated(engine);
    for (group, name) in [("jobs", "x"), ("jobs", "y"), ("mail", "x")] {
        let lock = Lock::in_group(group, name).unwrap();
        held(
            &database,
            &lock.with_owner("web-1").unwrap().with_data("d").unwrap(),
        );
    }
    let words = ["list", "--json", "--group", "jobs", "--prefix", "x"];
    let by_table = database.run(&words).done();
    let Some(looker) = Looker::on(database) else {
        return;
    };
    let database = &looker.database;
    // All but the time that is left, which stands before the data. The view rounds times to microseconds.
    let stable = |json: &str| json.split(r#""time_left_ms""#).next().unwrap().to_owned();
    let by_view = database.run(&words).done();
    assert_eq!(stable(&by_view), stable(&by_table));
    assert!(by_view.ends_with("\"data\": \"d\"}]\n"), "{by_view}");
    assert_eq!(database.run(&["list"]).done().lines().count(), 4);

    let shown = database.run(&["show", "mail|x"]).done();
    assert!(
        shown.contains("held for") && shown.contains("web-1"),
        "{shown}"
    );
    for words in [
        &["show", "never"][..],
        &["list", "--all"],
        &["release", "x", "--force"],
    ] {
        let refused = database.run(words);
        assert_eq!(refused.code, 3, "{words:?}: {refused:?}");
        assert!(refused.err.contains("denied"), "{words:?}: {refused:?}");
    }
}
