//! What the locks cost, held against the least that any lock in the same database must do.
//!
//! `cargo xtask bench` starts the servers, as durable as they come, and runs this. Every figure is taken beside its limit:
//! both in turn within the same seconds, for several rounds, so that what the machine does meanwhile happens to both.
//! Nothing here asserts a time: a benchmark says what it saw.

mod asynchronous;
mod bare;
mod building;
mod busy;
mod churn;
mod counting;
mod database;
mod engine;
mod figure;
mod form;
mod growth;
mod handoff;
mod json;
mod keeping;
mod lease;
mod many;
mod markdown;
mod memory;
mod names;
mod pairs;
mod peers;
mod picture;
mod pins;
mod process;
mod rounds;
mod rows;
mod waiters;

use std::error::Error;
use std::path::Path;

use database::Database;
use engine::Engine;
use figure::Figures;
use form::Form;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["waiters", url, name, tasks, seconds] => {
            handoff::child(url, name, tasks.parse()?, seconds.parse()?);
            Ok(())
        }
        ["memory", url, of, count] => {
            memory::child(url, of, count.parse()?);
            Ok(())
        }
        ["short"] => measure(&Form::SHORT),
        ["full"] => measure(&Form::FULL),
        _ => Err("short or full; run it by `cargo xtask bench`, which starts the servers".into()),
    }
}

fn measure(form: &Form) -> Result<(), Box<dyn Error>> {
    let mut figures = Figures::new(form);
    for engine in Engine::ALL {
        let Some(database) = Database::of(engine) else {
            println!("{} is not measured: it has no server", engine.name());
            continue;
        };
        for (name, chapter) in CHAPTERS {
            if engine == Engine::Postgres || form.everywhere.contains(&name) {
                println!("\n{} · {name}", engine.name());
                chapter(&database, form, &mut figures);
            }
        }
    }
    building::measure(&mut figures)?;
    let folder = Path::new("benches/results");
    std::fs::create_dir_all(folder)?;
    std::fs::write(
        folder.join(format!("{}.md", form.name)),
        markdown::page(&figures),
    )?;
    std::fs::write(
        folder.join(format!("{}.svg", form.name)),
        picture::chart(&figures),
    )?;
    std::fs::write(
        folder.join(format!("{}.json", form.name)),
        json::text(&figures)?,
    )?;
    println!(
        "\nwritten: benches/results/{}.md, .svg and .json",
        form.name
    );
    Ok(())
}

type Chapter = fn(&Database, &Form, &mut Figures);

/// Each leaves the database as it would like to find it.
const CHAPTERS: [(&str, Chapter); 11] = [
    ("pairs", pairs::measure),
    ("peers", peers::measure),
    ("busy", busy::measure),
    ("many", many::measure),
    ("pins", pins::measure),
    ("handoff", handoff::measure),
    ("keeping", keeping::measure),
    ("waiters", waiters::measure),
    ("memory", memory::measure),
    // Before there are ten million rows: whoever analyzes those keeps old versions of these.
    ("churn", churn::measure),
    ("growth", growth::measure),
];
