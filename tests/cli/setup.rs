//! `migrate` and `verify`.

use crate::database::{Database, Engine};
use crate::list::migrated;

pub fn a_table_is_created_and_verified(engine: Engine) {
    let database = Database::new(engine);
    for _ in 0..2 {
        database.run(&["migrate"]).done();
    }
    assert!(database.run(&["verify"]).done().contains("is ready"));
    assert_eq!(database.count("diesel_locks_setup"), 1);
    let other = ["--table", "billing"];
    assert_eq!(database.run(&[&["verify"], &other[..]].concat()).code, 1);
    database.run(&[&["migrate"], &other[..]].concat()).done();
    database.run(&[&["verify"], &other[..]].concat()).done();
    assert!(database.has("billing_setup"));
}

pub fn a_failed_check_names_its_remedy(engine: Engine) {
    let database = Database::new(engine);
    database.batch("CREATE TABLE host (x INT)");
    let missing = database.run(&["verify"]);
    assert_eq!(missing.code, 1, "{missing:?}");
    let remedy = format!("diesel-locks migrations write {}", engine.dialect());
    for part in [
        "`diesel-locks migrate`",
        &remedy,
        "`diesel migration run`",
        "--table",
    ] {
        assert!(missing.err.contains(part), "{part}: {missing:?}");
    }
    for words in [&["list"][..], &["show", "x"], &["run", "x", "true"]] {
        let said = database.run(words);
        assert!(said.err.contains(&remedy), "{words:?}: {said:?}");
        assert!(
            !said.err.contains("::"),
            "a Rust path helps no operator: {said:?}"
        );
    }

    let sql = database.run(&["migrations", "sql"]).done();
    database.batch(&sql);
    database.run(&["verify"]).done();
    database.batch("DROP VIEW diesel_locks_held");
    database.batch("ALTER TABLE diesel_locks DROP COLUMN wanted_until");
    let old = database.run(&["verify"]);
    assert_eq!(old.code, 1);
    assert!(old.err.contains("no column wanted_until"), "{old:?}");
    let others = database.run(&["migrate"]);
    assert_eq!(others.code, 3);
    assert!(others.err.contains("`diesel-locks verify`"), "{others:?}");
}

pub fn sixteen_processes_migrate_at_once(engine: Engine) {
    let database = Database::new(engine);
    let start = |_| database.start(&["migrate"]);
    let processes: Vec<_> = (0..16).map(start).collect();
    for process in processes {
        crate::program::Said::from(process.wait_with_output().unwrap()).done();
    }
    database.run(&["verify"]).done();
    assert_eq!(database.count("diesel_locks_setup"), 1);
}

pub fn a_missing_database_is_an_error(engine: Engine) {
    let database = Database::unborn(engine);
    let said = database.run(&["list"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.starts_with("diesel-locks: "), "{said:?}");
    assert!(!database.file("app.db").exists());
}

pub fn a_url_may_name_mariadb_and_sqlite(engine: Engine) {
    let mut database = migrated(engine);
    database.url = match engine.dialect() {
        "mysql" => database.url.replacen("mysql://", "mariadb://", 1),
        "sqlite" => format!("sqlite://{}", database.url),
        _ => database.url.replacen("postgres://", "postgresql://", 1),
    };
    database.run(&["verify"]).done();
}
