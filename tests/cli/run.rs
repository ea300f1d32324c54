//! `run`: commands that run to their end, and commands that are not run.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use diesel_locks::Lock;

use crate::database::{Engine, unique};
use crate::job::{Job, WORK, fence, is_held, run, said, until};
use crate::list::{held, migrated};

pub fn a_command_knows_its_lock_and_its_exit_code_is_kept(engine: Engine) {
    let database = migrated(engine);
    let script = "env | grep -E '^DIESEL_LOCKS_(NAME|GROUP|FENCE|TOKEN)=' | sort; exit 7";
    let plain = said(&database, &[], script);
    let expected = format!(
        "DIESEL_LOCKS_FENCE={}\nDIESEL_LOCKS_NAME=x\n",
        fence(&database)
    );
    assert_eq!((plain.code, &plain.out), (7, &expected), "{plain:?}");
    assert_eq!(plain.err, "");
    assert!(!is_held(&database));

    let words = ["run", "jobs|x", "--owner", "cron", "-v", "--", "env"];
    let grouped = Job::start(&database, &words).end();
    assert!(
        grouped.out.contains("DIESEL_LOCKS_GROUP=jobs\n"),
        "{grouped:?}"
    );
    assert!(
        grouped.err.contains("jobs|x: acquired") && grouped.err.contains("released after"),
        "{grouped:?}"
    );
    let shown = database.run(&["show", "jobs|x"]).done();
    assert!(shown.contains("last owner  cron"), "{shown}");

    assert_eq!(said(&database, &[], "kill -9 $$").code, 128 + 9);
}

/// What follows the command belongs to it, as for flock and env.
pub fn a_command_needs_no_dashes(engine: Engine) {
    let database = migrated(engine);
    let script = "printf '%s ' \"$@\"; exit 7";
    for dashes in [&[][..], &["--"]] {
        let start = [&["run", "x", "--ttl", "1m"], dashes].concat();
        let words = [
            &start[..],
            &["sh", "-c", script, "sh", "--ttl", "-v", "--", "-x"],
        ]
        .concat();
        let said = Job::start(&database, &words).end();
        assert_eq!((said.code, &*said.out), (7, "--ttl -v -- -x "), "{said:?}");
    }
}

pub fn a_command_is_not_run_while_its_lock_is_held(engine: Engine) {
    let database = migrated(engine);
    held(
        &database,
        &Lock::new("x").unwrap().with_owner("web-1").unwrap(),
    );
    let busy = said(&database, &[], "touch up");
    assert_eq!((busy.code, &*busy.err), (80, ""), "{busy:?}");
    let busy = said(&database, &["--busy-exit-code", "0", "-v"], "touch up");
    assert_eq!(busy.code, 0);
    assert!(busy.err.contains("busy, held by web-1"), "{busy:?}");
    assert_eq!(said(&database, &["--wait", "1s"], "touch up").code, 81);
    let wait = ["--wait", "0s", "--timed-out-exit-code", "9"];
    assert_eq!(said(&database, &wait, "touch up").code, 9);
    assert!(!database.file("up").exists());
}

pub fn a_command_waits_for_its_lock(engine: Engine) {
    let database = migrated(engine);
    let first = Job::at_work(&database, &run(&[], WORK));
    let script = "test ! -e up && touch second";
    let mut second = Job::start(&database, &run(&["--wait", "forever", "-v"], script));
    let mut told = [0; 60];
    let err = second.child.as_mut().unwrap().stderr.as_mut().unwrap();
    let length = std::io::Read::read(err, &mut told).unwrap();
    let told = String::from_utf8_lossy(&told[..length]);
    assert!(told.contains("waiting, held by"), "{told}");
    assert!(!database.file("second").exists());
    fs::remove_file(database.file("up")).unwrap();
    assert_eq!(first.end().code, 0);
    assert_eq!(second.end().code, 0);
    assert!(database.file("second").exists());
}

/// For twice the time after which a lease expires without an extension.
pub fn a_lock_is_kept_for_as_long_as_the_command_runs(engine: Engine) {
    let database = migrated(engine);
    let began = Instant::now();
    let job = Job::at_work(&database, &run(&["--ttl", "6s", "-v"], WORK));
    let fence_then = fence(&database);
    while began.elapsed() < Duration::from_secs(13) {
        assert!(is_held(&database), "after {:?}", began.elapsed());
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(fence(&database), fence_then);
    fs::remove_file(database.file("up")).unwrap();
    assert_eq!(job.end().code, 0);
    assert!(!is_held(&database));
}

pub fn a_lock_can_be_kept_longer_than_the_command(engine: Engine) {
    let database = migrated(engine);
    let at_least = ["--at-least", "1h", "--ttl", "6s"];
    assert_eq!(said(&database, &at_least, "exit 3").code, 3);
    let shown = database.run(&["show", "x"]).done();
    assert!(shown.contains("59m") && shown.contains("left"), "{shown}");
    assert_eq!(said(&database, &[], "touch up").code, 80);
}

pub fn a_command_that_cannot_start_holds_no_lock(engine: Engine) {
    let database = migrated(engine);
    let folder = database.folder.to_str().unwrap();
    for (command, code) in [(&*unique(), 127), (folder, 126)] {
        for options in [&[][..], &["--at-least", "1h"]] {
            let words = [&["run", "x"], options, &["--", command]].concat();
            let said = Job::start(&database, &words).end();
            assert_eq!(said.code, code, "{said:?}");
            let (first, more) = said.err.split_once('\n').unwrap();
            assert!(first.contains("cannot be started"), "{said:?}");
            assert_eq!(more, "", "that is all there is to say: {said:?}");
            assert!(!is_held(&database));
        }
    }
}

pub fn own_exit_codes_differ_from_those_of_the_command(engine: Engine) {
    let database = migrated(engine);
    for words in [
        &["run", "x"][..],
        &["run", "--", "ls"],
        &["run", "x", "--tll", "1m", "ls"],
    ] {
        assert_eq!(database.run(words).code, 83, "{words:?}");
    }
    for options in [["--wait", "1"], ["--ttl", "0s"], ["--owner", "a\nb"]] {
        let wrong = said(&database, &options, "touch up");
        assert_eq!(wrong.code, 83, "{wrong:?}");
    }
    let no_table = said(&database, &["--table", "other"], "touch up");
    assert_eq!(no_table.code, 84, "{no_table:?}");
    assert!(
        no_table.err.contains("diesel-locks migrate"),
        "{no_table:?}"
    );
    assert!(!database.file("up").exists());
}

/// They no longer depend on the lock.
pub fn processes_left_in_the_background_go_on(engine: Engine) {
    let database = migrated(engine);
    let script = format!("({WORK}; touch left) > /dev/null 2>&1 & until [ -e up ]; do :; done");
    let end = said(&database, &[], &script);
    assert_eq!(end.code, 0, "{end:?}");
    assert!(!is_held(&database));
    fs::remove_file(database.file("up")).unwrap();
    until("the process goes on", || database.file("left").exists());
}
