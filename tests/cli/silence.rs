//! A database that does not answer: a proxy of the test accepts connections, and nothing passes. SQLite has no network.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::database::{Database, Engine};
use crate::job::{Job, WORK, is_held, run, until};
use crate::list::migrated;
use crate::proxy::Proxy;

/// Far more than a question may take here, and far less than for ever.
const SOON: Duration = Duration::from_secs(30);

/// A migrated database behind a proxy, and its own URL.
fn behind_a_proxy(engine: Engine) -> Option<(Database, Proxy, String)> {
    engine.server()?;
    let mut database = migrated(engine);
    let direct = database.url.clone();
    let place = direct.split_once('@').unwrap().1.split_once('/').unwrap().0;
    let server: SocketAddr = place.parse().expect("an address of digits");
    let proxy = Proxy::to(server);
    database.url = direct.replace(place, &proxy.address.to_string());
    Some((database, proxy, direct))
}

pub fn every_command_ends_without_an_answer(engine: Engine) {
    let Some((database, proxy, _)) = behind_a_proxy(engine) else {
        return;
    };
    let lease = database.run(&["acquire", "y", "--ttl", "1h"]).done();
    let lease = lease.trim_end();
    proxy.hang();
    let began = Instant::now();
    let jobs = [
        (&["acquire", "x", "--ttl", "1m", "--wait", "1s"][..], 3),
        (&["acquire", "x", "--ttl", "1m", "--timeout", "1s"], 3),
        (&["run", "x", "--wait", "1s", "touch", "up"], 84),
        (&["run", "x", "--timeout", "1s", "touch", "up"], 84),
        (&["list", "--timeout", "1s"], 3),
        (&["list", "--watch", "--timeout", "1s"], 3),
        (&["show", "x", "--timeout", "1s"], 3),
        (&["verify", "--timeout", "1s"], 3),
        (&["migrate", "--timeout", "1s"], 3),
        (&["purge", "--older-than", "7d", "--timeout", "1s"], 3),
        (&["extend", lease, "--timeout", "1s"], 3),
        (&["release", lease, "--timeout", "1s"], 3),
        (&["release", "x", "--force", "--timeout", "1s"], 3),
    ];
    let jobs = jobs.map(|(words, code)| (words, code, Job::start(&database, words)));
    for (words, code, job) in jobs {
        let said = job.end();
        assert_eq!(said.code, code, "{words:?}: {said:?}");
        assert!(said.err.contains("did not answer"), "{words:?}: {said:?}");
        assert!(
            began.elapsed() < SOON,
            "{words:?} took {:?}",
            began.elapsed()
        );
    }
    assert!(!database.file("up").exists());
}

/// The connections of before stay silent, as behind a firewall that has forgotten them.
pub fn a_wait_outlives_a_silence(engine: Engine) {
    let Some((database, proxy, _)) = behind_a_proxy(engine) else {
        return;
    };
    proxy.hang();
    let words = [
        "run",
        "x",
        "--wait",
        "60s",
        "--timeout",
        "2s",
        "touch",
        "up",
    ];
    let mut job = Job::start(&database, &words);
    let told = first_line(job.child.as_mut().unwrap().stderr.take().unwrap());
    assert!(
        told.contains("x: still waiting: the database did not"),
        "{told}"
    );
    proxy.come_back_in_silence();
    assert_eq!(job.end().code, 0);
    assert!(database.file("up").exists());
}

fn first_line(output: impl Read + Send + 'static) -> String {
    let (sender, line) = mpsc::channel();
    thread::spawn(move || sender.send(BufReader::new(output).lines().next()));
    let line = line.recv_timeout(SOON).expect("a line in time");
    line.expect("a line").unwrap()
}

/// The command has done its work. The lock is free after its ttl.
pub fn a_command_keeps_its_exit_code_if_the_lock_cannot_be_given_back(engine: Engine) {
    let Some((mut database, proxy, direct)) = behind_a_proxy(engine) else {
        return;
    };
    let script = format!("{WORK}; exit 7");
    let job = Job::at_work(&database, &run(&["--ttl", "5m"], &script));
    proxy.hang();
    let began = Instant::now();
    fs::remove_file(database.file("up")).unwrap();
    let end = job.end();
    assert_eq!(end.code, 7, "{end:?}");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(end.err.contains("x: not released"), "{end:?}");
    database.url = direct;
    assert!(is_held(&database));
}

pub fn a_command_is_stopped_when_the_silence_has_cost_its_lock(engine: Engine) {
    let Some((database, proxy, _)) = behind_a_proxy(engine) else {
        return;
    };
    let script = format!("trap 'touch asked; exit 0' TERM; {WORK}");
    let job = Job::at_work(&database, &run(&["--ttl", "6s"], &script));
    proxy.hang();
    until("the command is asked to stop", || {
        database.file("asked").exists()
    });
    let end = job.end();
    assert_eq!(end.code, 82, "{end:?}");
    assert!(end.err.contains("x: lost after"), "{end:?}");
}
