//! `acquire`, `extend` and `release`: a lease across the steps of a script.

use std::fs::OpenOptions;
use std::process::Stdio;

use crate::database::{Database, Engine};
use crate::list::migrated;
use crate::program::{Said, command};

/// A lease, as a script holds it.
struct Script<'d> {
    database: &'d Database,
    lease: String,
}

impl<'d> Script<'d> {
    fn start(database: &'d Database, options: &[&str]) -> Self {
        let acquire = ["acquire", "x", "--ttl", "10m"];
        let lease = database.run(&[&acquire[..], options].concat()).done();
        assert!(lease.starts_with("lease1:") && lease.ends_with('\n'));
        Self {
            database,
            lease: lease.trim_end().to_owned(),
        }
    }

    /// The next step, which gets the lease in the environment.
    fn step(&self, words: &[&str]) -> Said {
        let mut command = command(words);
        command
            .env("DATABASE_URL", &self.database.url)
            .env("DIESEL_LOCKS_LEASE", &self.lease)
            .stdin(Stdio::null());
        command.output().unwrap().into()
    }
}

pub fn a_script_holds_a_lock_across_its_steps(engine: Engine) {
    let database = migrated(engine);
    let script = Script::start(&database, &["--owner", "deploy of web-1"]);
    let shown = database.run(&["show", "x"]).done();
    assert!(shown.contains("deploy of web-1"), "{shown}");
    assert!(
        shown.contains(", 9m ") || shown.contains(", 10m "),
        "{shown}"
    );

    let busy = database.run(&["acquire", "x", "--ttl", "1m"]);
    assert_eq!((busy.code, &*busy.out), (1, ""), "{busy:?}");
    assert!(
        busy.err.contains("x is busy: deploy of web-1 holds it for"),
        "{busy:?}"
    );
    let busy = database.run(&["acquire", "x", "--ttl", "1m", "--wait", "1s"]);
    assert_eq!(busy.code, 1, "{busy:?}");

    assert_eq!(script.step(&["extend"]).done(), "x is extended\n");
    assert_eq!(
        script.step(&["extend", "--ttl", "3h"]).done(),
        "x is extended\n"
    );
    let shown = database.run(&["show", "x"]).done();
    assert!(shown.contains(", 2h 59m left"), "{shown}");

    assert_eq!(script.step(&["release"]).done(), "x is released\n");
    for words in [["extend"], ["release"]] {
        let lost = script.step(&words);
        assert_eq!((lost.code, &*lost.out), (1, ""), "{lost:?}");
        assert!(lost.err.contains("x is lost"), "{lost:?}");
    }
}

pub fn a_lease_comes_in_the_environment_on_standard_input_or_as_an_argument(engine: Engine) {
    let database = migrated(engine);
    let script = Script::start(&database, &[]);
    let lease = &*script.lease;
    database
        .answer(&["extend", "-"], &format!("{lease}\n"))
        .done();
    database.run(&["extend", lease]).done();
    // The argument counts, and not the environment.
    assert_eq!(script.step(&["extend", "-"]).code, 2);
    database.answer(&["release", "-"], lease).done();

    let script = Script::start(&database, &[]);
    database.run(&["release", &script.lease]).done();
    assert_eq!(script.step(&["release"]).code, 1);
}

pub fn a_lease_names_its_lock_and_its_table(engine: Engine) {
    let database = migrated(engine);
    database.run(&["migrate", "--table", "other"]).done();
    let options = ["--group", "jobs", "--json", "--table", "other"];
    let json = database.run(&[&["acquire", "x", "--ttl", "90s"], &options[..]].concat());
    let json = json.done();
    for part in [
        r#"{"lease": "lease1:"#,
        r#""lock": "jobs|x", "group": "jobs", "name": "x", "fence": "#,
        r#""ttl_ms": 90000}"#,
    ] {
        assert!(json.contains(part), "{part} in {json}");
    }
    let lease = json.split('"').nth(3).unwrap();
    let released = database.answer(&["release", "-"], lease);
    assert_eq!(released.done(), "jobs|x is released\n");
}

pub fn a_lease_that_has_expired_is_taken_over(engine: Engine) {
    let database = migrated(engine);
    let first = database.run(&["acquire", "x", "--ttl", "1500ms"]).done();
    let second = database.run(&["acquire", "x", "--ttl", "1m", "--wait", "60s"]);
    second.done();
    let lost = database.answer(&["extend", "-"], &first);
    assert_eq!(lost.code, 1, "{lost:?}");
}

/// The argument of `release` is a lease, or with `--force` a name. Nothing is guessed.
pub fn what_is_no_lease_is_refused(engine: Engine) {
    let database = migrated(engine);
    let script = Script::start(&database, &[]);
    for (words, text) in [
        (&["release", "x"][..], "release NAME --force"),
        (&["release", "hunter2"], "this is no lease"),
        (&["extend", "x"], "DIESEL_LOCKS_LEASE"),
        (&["extend"], "no lease was given"),
        (&["release"], "no lease was given"),
        (&["release", "--group", "a", "x"], "--force"),
        (&["release", "--force"], "LEASE|NAME"),
        (
            &["release", &script.lease, "--force"],
            "released without --force",
        ),
        (&["acquire", "y"], "--ttl"),
    ] {
        let said = database.run(words);
        assert_eq!((said.code, &*said.out), (2, ""), "{words:?}: {said:?}");
        assert!(said.err.contains(text), "{words:?}: {said:?}");
        assert!(
            !said.err.contains("hunter2"),
            "it may be a secret: {said:?}"
        );
    }
    assert_eq!(script.step(&["release"]).done(), "x is released\n");
}

/// Nobody would know the lease, and the lock would be held until its ttl is over.
pub fn a_lease_that_cannot_be_printed_is_given_back(engine: Engine) {
    let database = migrated(engine);
    let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
        return; // only Linux has it
    };
    let mut acquire = command(&["acquire", "x", "--ttl", "10m"]);
    acquire.env("DATABASE_URL", &database.url).stdout(full);
    let said = Said::from(acquire.output().unwrap());
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("given back"), "{said:?}");
    database.run(&["acquire", "x", "--ttl", "10m"]).done();
}
