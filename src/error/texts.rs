//! What the text of a server's error means.
//!
//! Diesel and diesel-async pass on the code of few errors. For all others only the text can be read, and a server speaks
//! the language that its administrator or the session has chosen (`lc_messages`). So `texts.txt` has the texts in every
//! language of the servers' message catalogues. A text that is not there counts as an error that no retry mends.

/// What an error of a server means to this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The table or its database does not exist.
    Missing,
    /// The database refused the statement because of another transaction. A retry makes sense at once.
    Serialization,
    /// The statement had to wait for another transaction, and gave up or was not allowed to wait.
    Timeout,
    /// The server has ended the session.
    Ended,
    /// Another connection writes to the SQLite database.
    SqliteBusy,
}

const TEXTS: &str = include_str!("texts.txt");

/// Texts that are parts of other texts. Client libraries, storage engines and SQLite speak English only.
const PARTS: [(&str, Meaning); 18] = [
    ("no such table", Meaning::Missing),
    ("database is locked", Meaning::SqliteBusy),
    ("database table is locked", Meaning::SqliteBusy),
    ("database schema is locked", Meaning::SqliteBusy),
    // Of clusters: the transaction lost against one of another node.
    ("Lock deadlock; Retry transaction", Meaning::Serialization),
    ("WSREP detected deadlock/conflict", Meaning::Serialization),
    // This node does not belong to the cluster.
    ("WSREP has not yet prepared node", Meaning::Ended),
    ("not connected to Primary Component", Meaning::Ended),
    ("server closed the connection", Meaning::Ended), // libpq
    ("no connection to the server", Meaning::Ended),  // libpq
    ("could not receive data from server", Meaning::Ended), // libpq
    ("could not send data to server", Meaning::Ended), // libpq
    ("connection closed", Meaning::Ended),            // tokio-postgres
    ("error communicating with the server", Meaning::Ended), // tokio-postgres
    ("Lost connection", Meaning::Ended),              // MySQL's and MariaDB's libraries
    ("server has gone away", Meaning::Ended),         // MySQL's library
    ("Server has gone away", Meaning::Ended),         // MariaDB's library
    ("Connection to the server", Meaning::Ended),     // mysql_async
];

/// How `mysql_async` begins an error of the network. A server ends an error of its disk with these words.
const NETWORK: &str = "Input/output error";

/// What this text means; `None` if it means nothing to this crate.
pub(super) fn meaning(text: &str) -> Option<Meaning> {
    if text.starts_with(NETWORK) {
        return Some(Meaning::Ended);
    }
    let known = PARTS.iter().find(|(part, _)| text.contains(part));
    known
        .map(|(_, meaning)| *meaning)
        .or_else(|| in_some_language(text.trim_end()))
}

fn in_some_language(text: &str) -> Option<Meaning> {
    let mut meaning = None;
    for line in TEXTS.lines() {
        match line {
            "[nothing]" => meaning = None,
            "[missing]" => meaning = Some(Meaning::Missing),
            "[serialization]" => meaning = Some(Meaning::Serialization),
            "[timeout]" => meaning = Some(Meaning::Timeout),
            "[ended]" => meaning = Some(Meaning::Ended),
            pattern if is_like(text, pattern) => return meaning,
            _ => {}
        }
    }
    None
}

/// Whether the text is the pattern with names in place of each `%`.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((first, others)) = pattern.split_once('%') else {
        return text == pattern;
    };
    let (middle, last) = others.rsplit_once('%').unwrap_or(("", others));
    let names = text
        .strip_prefix(first)
        .and_then(|rest| rest.strip_suffix(last));
    names.is_some_and(|names| names.contains(middle))
}

#[cfg(test)]
mod tests {
    use super::{Meaning, TEXTS, meaning};

    #[test]
    fn a_text_is_known_in_many_languages() {
        for text in [
            r#"relation "diesel_locks" does not exist"#,
            "Relation »app.diesel_locks« existiert nicht",
            "la relation « diesel_locks » n'existe pas",
            r#"リレーション"diesel_locks"は存在しません"#,
            "Table 'locks.diesel_locks' doesn't exist",
            "Tabelle 'locks.diesel_locks' existiert nicht",
            "relation \"an \"odd\" `name`\" does not exist",
        ] {
            assert_eq!(meaning(text), Some(Meaning::Missing), "{text}");
        }
        for text in [
            "Verklemmung (Deadlock) entdeckt",
            "обнаружена взаимоблокировка",
            "Deadlock found when trying to get lock; try restarting transaction",
            "试图锁定时发现僵局;尝试重新启动事务",
        ] {
            assert_eq!(meaning(text), Some(Meaning::Serialization), "{text}");
        }
    }

    #[test]
    fn what_a_cluster_says_is_known() {
        for (text, means) in [
            (
                "Plugin instructed the server to rollback the current transaction.",
                Meaning::Serialization,
            ),
            (
                "Got error 149 - 'Lock deadlock; Retry transaction' during COMMIT",
                Meaning::Serialization,
            ),
            (
                "WSREP has not yet prepared node for application use",
                Meaning::Ended,
            ),
            ("Node is not connected to Primary Component", Meaning::Ended),
        ] {
            assert_eq!(meaning(text), Some(means), "{text}");
        }
    }

    #[test]
    fn another_text_is_not_taken_for_one_of_these() {
        for text in [
            r#"column "x" of relation "diesel_locks" does not exist"#,
            "Spalte »x« von Relation »diesel_locks« existiert nicht",
            r#"リレーション"diesel_locks"の列"x"は存在しません"#,
            r#"prepared statement "s0" does not exist"#,
            "Unknown column 'x' in 'SELECT'",
            "could not read block 0 in file \"base/1\": Input/output error",
            "",
        ] {
            assert_eq!(meaning(text), None, "{text}");
        }
    }

    #[test]
    fn every_line_is_a_section_a_comment_or_a_text_without_blanks_at_its_ends() {
        let sections = TEXTS.lines().filter(|line| line.starts_with('['));
        assert_eq!(sections.count(), 5);
        assert!(TEXTS.lines().all(|line| line.trim() == line));
        assert!(TEXTS.lines().count() > 300);
    }
}
