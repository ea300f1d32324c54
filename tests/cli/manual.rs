//! What the program says about itself.

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
