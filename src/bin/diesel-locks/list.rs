//! `diesel-locks list`.

use std::io::{self, IsTerminal};
use std::time::Duration;

use diesel_locks::blocking::{ListDsl, LockConnection};
use diesel_locks::{List, Record, Result};

use crate::outcome::{Exit, Outcome, print};
use crate::record::held_for;
use crate::{duration, json};

const CLEAR: &str = "\x1b[H\x1b[2J";

pub fn list<C: LockConnection>(
    conn: &mut C,
    list: &List,
    as_json: bool,
    watch: Option<u64>,
) -> Outcome {
    loop {
        let records = all(conn, list)?;
        let text = if as_json {
            json::array(&records)
        } else {
            columns(&records)
        };
        let Some(seconds) = watch else {
            print(&text)?;
            return Ok(Exit::Done);
        };
        let before = if io::stdout().is_terminal() {
            CLEAR
        } else {
            ""
        };
        print(&format!("{before}{text}\n"))?;
        std::thread::sleep(Duration::from_secs(seconds.max(1)));
    }
}

/// The records of all pages.
fn all<C: LockConnection>(conn: &mut C, list: &List) -> Result<Vec<Record>> {
    let (mut page, mut all) = (list.clone().limit(1_000), Vec::new());
    loop {
        let records = page.load(conn)?;
        let Some(end) = records.last() else {
            return Ok(all);
        };
        page = page.after(&end.key);
        all.extend(records);
    }
}

fn columns(records: &[Record]) -> String {
    const HEAD: [&str; 6] = ["LOCK", "OWNER", "HELD FOR", "TIME LEFT", "FENCE", "DATA"];
    let time = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), duration::short);
    let row = |record: &Record| {
        [
            visible(&record.key),
            visible(&record.owner),
            time(held_for(record)),
            time(record.time_left),
            record.fence.to_string(),
            visible(record.data.as_deref().unwrap_or_default()),
        ]
    };
    let rows: Vec<[String; 6]> = [HEAD.map(str::to_owned)]
        .into_iter()
        .chain(records.iter().map(row))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; 6] = std::array::from_fn(|column| width(column).unwrap_or_default());
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths);
        let padded = cells.map(|(cell, width)| format!("{cell:<width$}  "));
        let line = padded.collect::<Vec<_>>().concat();
        line.trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// At most 60 characters, without control characters: owners and data are text from applications, and must neither
/// break the line nor control the terminal.
fn visible(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let (short, rest) = (text.chars().take(60), text.chars().nth(60));
    short.chain(rest.map(|_| '…')).map(shown).collect()
}
