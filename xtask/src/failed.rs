//! What failed, kept for the end of a run: a reader who comes later often has only the last lines.
//!
//! libtest prints `---- PATH stdout ----` before what a failed test said, and `failures:` after the last of them.

#[derive(Debug, Default)]
pub struct Failed {
    said: Vec<String>,
    listens: bool,
}

impl Failed {
    /// Takes one line of the output.
    pub fn read(&mut self, line: &str) {
        if line.starts_with("---- ") && line.ends_with(" ----") {
            self.listens = true;
        } else if line == "failures:" || line.starts_with("test result: ") {
            self.listens = false;
        }
        if self.listens && !line.is_empty() {
            self.said.push(line.to_owned());
        }
    }

    /// The tests that failed, each with what it said.
    pub fn report(&self) -> Option<String> {
        (!self.said.is_empty()).then(|| self.said.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::Failed;

    const OUTPUT: &str = "\
test a::b ... FAILED
test a::c ... ok

failures:

---- a::b stdout ----
thread 'a::b' panicked at b.rs:1:2:
lost


failures:
    a::b

test result: FAILED. 1 passed; 1 failed";

    #[test]
    fn a_failed_test_is_named_with_what_it_said() {
        let mut failed = Failed::default();
        OUTPUT.lines().for_each(|line| failed.read(line));
        let report = "---- a::b stdout ----\nthread 'a::b' panicked at b.rs:1:2:\nlost";
        assert_eq!(failed.report().as_deref(), Some(report));
    }

    #[test]
    fn where_nothing_failed_there_is_nothing_to_report() {
        let mut failed = Failed::default();
        failed.read("test a::c ... ok");
        assert_eq!(failed.report(), None);
    }
}
