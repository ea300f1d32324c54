//! `diesel-locks list`.

use std::io::{self, IsTerminal};
use std::time::Duration;

use diesel_locks::blocking::ListDsl;
use diesel_locks::{List, Result, Table};

use crate::database::Database;
use crate::held::{Looks, or_held};
use crate::outcome::{Exit, Outcome, print};
use crate::record::Record;
use crate::which::LockFilter;
use crate::{duration, json};

const CLEAR: &str = "\x1b[H\x1b[2J";

#[derive(Clone, Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    filter: LockFilter,
    /// Also lists locks that are free.
    #[arg(long)]
    all: bool,
    /// Prints a JSON array of objects, with times in UTC. With `--watch`, each look is such an array on a line of its
    /// own.
    #[arg(long)]
    json: bool,
    /// Repeats the list until you stop it, every two seconds or at the interval that you give.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    watch: Option<u64>,
}

pub fn list<C: Looks>(args: &ListArgs, table: &Table, database: &Database<C>) -> Outcome {
    loop {
        let (asked, table) = (args.clone(), table.clone());
        let records = database.ask(move |conn| records(conn, &asked, &table))?;
        let Some(seconds) = args.watch else {
            print(&args.text(&records))?;
            return Ok(Exit::Done);
        };
        print(&args.look(&records))?;
        std::thread::sleep(Duration::from_secs(seconds.max(1)));
    }
}

impl ListArgs {
    fn text(&self, records: &[Record]) -> String {
        if self.json {
            json::array(records, ",\n ")
        } else {
            columns(records)
        }
    }

    /// One of many lists. JSON stays on one line, for programs that read line by line.
    fn look(&self, records: &[Record]) -> String {
        if self.json {
            return json::array(records, ", ");
        }
        let is_terminal = io::stdout().is_terminal();
        let before = if is_terminal { CLEAR } else { "" };
        format!("{before}{}\n", columns(records))
    }
}

fn records<C: Looks>(conn: &mut C, args: &ListArgs, table: &Table) -> Outcome<Vec<Record>> {
    let list = args.filter.list(table.clone())?;
    if args.all {
        return Ok(pages(conn, list)?);
    }
    let records = pages(conn, list.held());
    Ok(or_held(records, conn, table, |mut held| {
        held.retain(|record| args.filter.matches(record));
        Some(held)
    })?)
}

/// The records of all pages.
fn pages<C: Looks>(conn: &mut C, list: List) -> Result<Vec<Record>> {
    let (mut page, mut all) = (list.limit(1_000), Vec::new());
    loop {
        let records = page.load(conn)?;
        let Some(end) = records.last() else {
            return Ok(all);
        };
        page = page.after(&end.key);
        all.extend(records.into_iter().map(Record::from));
    }
}

fn columns(records: &[Record]) -> String {
    const HEAD: [&str; 6] = ["LOCK", "OWNER", "HELD FOR", "TIME LEFT", "FENCE", "DATA"];
    let time = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), duration::short);
    let row = |record: &Record| {
        [
            visible(&record.key),
            visible(&record.owner),
            time(record.held_for()),
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
