//! What the program says about itself: help, completions and manual pages.

use crate::program::run;

#[test]
fn the_help_explains_the_exit_codes() {
    let help = run(&["--help"]);
    assert_eq!(help.code, 0);
    for part in [
        "EXIT CODES",
        "DATABASE_URL",
        "diesel-locks purge --older-than 7d",
    ] {
        assert!(help.out.contains(part), "{part} in {}", help.out);
    }
}

#[test]
fn the_help_hides_no_secret_in_arguments() {
    for words in [
        ["acquire", "--help"],
        ["extend", "--help"],
        ["release", "--help"],
    ] {
        let help = run(&words).done();
        assert!(help.contains("DIESEL_LOCKS_LEASE"), "{help}");
        assert!(help.contains("standard input"), "{help}");
    }
}

#[test]
fn shells_complete_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).done();
        assert!(script.contains("diesel-locks"), "{shell}: {script}");
        assert!(script.contains("busy-exit-code"), "{shell}: {script}");
        assert!(!script.contains("watchdog"), "{shell}: {script}");
    }
    assert_eq!(run(&["completions", "cobol"]).code, 2);
}

#[test]
fn every_command_has_a_manual_page() {
    let whole = run(&["man"]).done();
    assert!(whole.contains(".TH diesel-locks 1"), "{whole}");
    for (words, title) in [
        (&["man", "run"][..], ".TH diesel-locks-run 1"),
        (
            &["man", "migrations", "write"],
            ".TH diesel-locks-migrations-write 1",
        ),
    ] {
        let page = run(words).done();
        assert!(page.contains(title), "{words:?}: {page}");
    }
    let unknown = run(&["man", "dance"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
}

/// `script` provides a terminal. Only the `script` of util-linux takes these arguments.
#[cfg(target_os = "linux")]
#[test]
fn colours_are_for_terminals() {
    use std::process::Command;

    const ESCAPE: &str = "\u{1b}[";
    assert!(!run(&["--help"]).out.contains(ESCAPE));
    let program = env!("CARGO_BIN_EXE_diesel-locks");
    for (no_color, is_coloured) in [("", true), ("1", false)] {
        let output = Command::new("script")
            .args(["--quiet", "--return", "--command"])
            .arg(format!("{program} --help"))
            .arg("/dev/null")
            .env("TERM", "xterm")
            .env("NO_COLOR", no_color)
            .output()
            .unwrap();
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(shown.contains("EXIT CODES"), "{shown}");
        assert_eq!(shown.contains(ESCAPE), is_coloured, "{no_color:?}: {shown}");
    }
}
