//! `run`: lost locks and signals stop a command.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::database::Engine;
use crate::job::{Job, WORK, catches, force_release, is_held, run, said, until};
use crate::list::migrated;

pub fn a_command_that_lost_its_lock_is_asked_to_stop(engine: Engine) {
    let database = migrated(engine);
    let script = format!("trap 'touch asked; exit 0' TERM; {WORK}");
    let job = Job::at_work(&database, &run(&["--ttl", "6s"], &script));
    force_release(&database);
    let end = job.end();
    assert_eq!(end.code, 82, "{end:?}");
    assert!(end.err.contains("x: lost after"), "{end:?}");
    assert!(database.file("asked").exists() && database.file("up").exists());
}

/// A process that is left would keep the output open, and `Job::end` would time out.
pub fn no_process_of_a_command_outlives_its_lock(engine: Engine) {
    let database = migrated(engine);
    let deaf = "trap '' TERM; touch up; sleep 100";
    for script in [
        deaf.to_owned(),
        "sleep 100 & touch up; wait".to_owned(),
        format!("sh -c \"{deaf}\" & wait"),
    ] {
        let options = [
            "--ttl",
            "6s",
            "--kill-after",
            "1s",
            "--lost-exit-code",
            "99",
        ];
        let job = Job::at_work(&database, &run(&options, &script));
        force_release(&database);
        assert_eq!(job.end().code, 99, "{script}");
        fs::remove_file(database.file("up")).unwrap();
    }
}

pub fn a_command_is_stopped_after_its_longest_time(engine: Engine) {
    let database = migrated(engine);
    let job = Job::at_work(&database, &run(&["--at-most", "4s"], WORK));
    assert_eq!(job.end().code, 82);
    assert!(database.file("up").exists() && !is_held(&database));
}

/// The command is in Perl: a shell cannot catch a signal that was ignored when it started, as INT is in a background
/// job.
pub fn signals_are_passed_on(engine: Engine) {
    const CATCH: &str = "for my $name (qw(INT TERM HUP QUIT USR1 USR2)) { \
            $SIG{$name} = sub { open my $file, '>', $name } \
        } \
        open my $file, '>', 'up'; close $file; \
        select undef, undef, undef, 0.05 while -e 'up'";
    let database = migrated(engine);
    let job = Job::at_work(&database, &["run", "x", "--", "perl", "-e", CATCH]);
    for (name, signal) in [
        ("INT", Signal::INT),
        ("TERM", Signal::TERM),
        ("HUP", Signal::HUP),
        ("QUIT", Signal::QUIT),
        ("USR1", Signal::USR1),
        ("USR2", Signal::USR2),
    ] {
        job.signal(signal);
        until(name, || database.file(name).exists());
    }
    assert!(is_held(&database), "the command decides what signals mean");
    fs::remove_file(database.file("up")).unwrap();
    assert_eq!(job.end().code, 0);

    let job = Job::at_work(&database, &run(&[], WORK));
    job.signal(Signal::TSTP);
    job.signal(Signal::TERM);
    assert_eq!(job.end().code, 128 + 15);
    assert!(!is_held(&database));
}

/// In the way of `nohup`.
pub fn ignored_signals_stay_ignored_by_the_command(engine: Engine) {
    let database = migrated(engine);
    let mut nohup = Command::new("sh");
    nohup
        .args(["-c", "trap '' HUP; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_diesel-locks"))
        .args(run(&[], WORK));
    let job = Job::of(nohup, &database);
    until("the command runs", || database.file("up").exists());
    job.signal(Signal::HUP);
    job.signal(Signal::TERM);
    assert_eq!(job.end().code, 128 + 15);
}

pub fn no_process_of_a_command_outlives_a_killed_run(engine: Engine) {
    let database = migrated(engine);
    let deaf = "sh -c \"trap '' TERM; touch up; sleep 100\" & wait";
    let options = ["--ttl", "12s", "--kill-after", "1s"];
    let job = Job::at_work(&database, &run(&options, deaf));
    let killed = Instant::now();
    job.signal(Signal::KILL);
    assert!(is_held(&database));
    job.output();
    let next = ["--wait", "40s"];
    assert_eq!(said(&database, &next, "exit 0").code, 0);
    assert!(killed.elapsed() > Duration::from_secs(3), "after the ttl");
}

/// `script` provides a terminal. Only the `script` of util-linux takes these arguments.
pub fn a_command_has_the_terminal(engine: Engine) {
    use std::io::Write;

    const READ: &str = "$SIG{INT} = sub { open my $file, '>>', 'int'; print $file 'INT ' }; \
        open my $parent, '>', 'parent'; print $parent getppid; close $parent; \
        my $line = <STDIN>; open my $file, '>', 'line'; print $file $line; close $file; \
        select undef, undef, undef, 0.05 while -e 'line'";
    if cfg!(not(target_os = "linux")) {
        return;
    }
    let database = migrated(engine);
    fs::write(database.file("job"), READ).unwrap();
    let program = env!("CARGO_BIN_EXE_diesel-locks");
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--command"])
        .arg(format!("exec {program} run x -- perl ./job"))
        .arg("/dev/null")
        .env("DATABASE_URL", &database.url)
        .current_dir(&database.folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let read = |name| fs::read_to_string(database.file(name)).unwrap_or_default();
    let mut keys = terminal.stdin.take().unwrap();
    keys.write_all(b"hello\n").unwrap();
    until("the command reads", || read("line") == "hello\n");
    until("the program catches INT", || {
        catches(&read("parent"), Signal::INT)
    });
    keys.write_all(b"\x03").unwrap();
    until("Ctrl-C reaches the command", || !read("int").is_empty());
    assert!(is_held(&database));
    fs::remove_file(database.file("line")).unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(0));
    assert_eq!(read("int"), "INT ", "once");
    assert!(!is_held(&database));
}
