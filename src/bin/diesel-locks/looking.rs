//! `diesel-locks list` and `show`.
//!
//! Ages are reckoned on the database's clock, which a record of a held lock tells: its lease ends in `time_left`.

use std::io::{self, IsTerminal};
use std::time::Duration;

use diesel_locks::blocking::{ListDsl, LockConnection, LockDsl};
use diesel_locks::{List, Lock, Record, Result};

use crate::{Answer, Outcome, json, print, spans};

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
            return Ok(Answer::Yes);
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

pub fn show<C: LockConnection>(conn: &mut C, lock: &Lock, as_json: bool) -> Outcome {
    let Some(record) = lock.inspect(conn)? else {
        eprintln!("{} was never used, or purged since", lock.key());
        return Ok(Answer::No);
    };
    if as_json {
        print(&(json::object(&record) + "\n"))?;
    } else {
        print(&lines(&record))?;
    }
    Ok(Answer::Yes)
}

/// All pages.
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

/// How long it has been held, by the database's clock.
pub fn held_for(record: &Record) -> Option<Duration> {
    let now = record.expires_at - chrono::TimeDelta::from_std(record.time_left?).ok()?;
    (now - record.acquired_at).to_std().ok()
}

fn lines(record: &Record) -> String {
    let state = match (held_for(record), record.time_left) {
        (Some(age), Some(left)) => format!(
            "held for {}, {} left",
            spans::short(age),
            spans::short(left)
        ),
        _ => "free".to_owned(),
    };
    let owner = if record.is_held() {
        "owner"
    } else {
        "last owner"
    };
    let data = record.data.as_deref().map(|data| ("data", data.to_owned()));
    let lines = [
        ("lock", record.key.clone()),
        ("state", state),
        (owner, record.owner.clone()),
        ("fence", record.fence.to_string()),
        ("acquired", json::time(record.acquired_at)),
        ("lease ends", json::time(record.expires_at)),
    ];
    let lines = lines.into_iter().chain(data);
    lines
        .map(|(what, text)| format!("{what:<11} {text}\n"))
        .collect::<Vec<_>>()
        .concat()
}

fn columns(records: &[Record]) -> String {
    const HEAD: [&str; 6] = ["LOCK", "OWNER", "HELD FOR", "TIME LEFT", "FENCE", "DATA"];
    let span = |span: Option<Duration>| span.map_or_else(|| "-".to_owned(), spans::short);
    let row = |record: &Record| {
        [
            visible(&record.key),
            visible(&record.owner),
            span(held_for(record)),
            span(record.time_left),
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

/// In one line, and nothing that moves the terminal's cursor: owners and data are what somebody wrote.
fn visible(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let (short, rest) = (text.chars().take(60), text.chars().nth(60));
    short.chain(rest.map(|_| '…')).map(shown).collect()
}
