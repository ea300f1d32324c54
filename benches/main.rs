//! The cost of the locks, compared with a limit: the least work that any lock in the same database must do.
//!
//! `cargo xtask bench` starts the servers, which flush every commit to disk, and runs this program. Each contestant and
//! its limit run in turn within the same seconds, for several rounds, so that other load on the machine affects both.
//! Nothing here asserts a time: a benchmark only reports.

mod asynchronous;
mod bare;
mod building;
mod busy;
mod churn;
mod compare;
mod counting;
mod crowds;
mod database;
mod engine;
mod fairness;
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
        ["turns", url, name, listens, ref numbers @ ..] => {
            let numbers: Result<Vec<u64>, _> = numbers.iter().map(|word| word.parse()).collect();
            let numbers = numbers?.try_into().map_err(|_| "expected three numbers")?;
            fairness::child(url, name, listens == "listen", numbers);
            Ok(())
        }
        ["memory", url, of, count] => {
            memory::child(url, of, count.parse()?);
            Ok(())
        }
        ["compare", folder] => compare::print(Path::new(folder)),
        ["short"] => measure(&Form::SHORT),
        ["full"] => measure(&Form::FULL),
        _ => Err(
            "expected short or full; `cargo xtask bench` starts the servers and runs this program"
                .into(),
        ),
    }
}

fn measure(form: &Form) -> Result<(), Box<dyn Error>> {
    let asked = asked_chapters()?;
    let mut figures = Figures::new(form);
    for engine in Engine::ALL {
        let Some(database) = Database::of(engine) else {
            println!(
                "{} is not measured: there is no server for it",
                engine.name()
            );
            continue;
        };
        for (name, chapter) in CHAPTERS {
            let is_for_engine = engine == Engine::Postgres || form.everywhere.contains(&name);
            if is_for_engine && asked.contains(&name) {
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

/// The chapters to measure: those that the environment names, or all.
fn asked_chapters() -> Result<Vec<&'static str>, Box<dyn Error>> {
    let all = CHAPTERS.map(|(name, _)| name);
    let Ok(asked) = std::env::var("DIESEL_LOCKS_CHAPTERS") else {
        return Ok(all.to_vec());
    };
    let known = |word| all.into_iter().find(|name| *name == word);
    let chapter = |word| {
        let missing = || {
            format!(
                "DIESEL_LOCKS_CHAPTERS: `{word}` is not one of {}",
                all.join(", ")
            )
        };
        known(word).ok_or_else(|| missing().into())
    };
    asked.split(',').map(chapter).collect()
}

type Chapter = fn(&Database, &Form, &mut Figures);

/// Each chapter removes the rows and tables that it adds.
const CHAPTERS: [(&str, Chapter); 13] = [
    ("pairs", pairs::measure),
    ("crowds", crowds::measure),
    ("peers", peers::measure),
    ("busy", busy::measure),
    ("many", many::measure),
    ("pins", pins::measure),
    ("handoff", handoff::measure),
    ("fairness", fairness::measure),
    ("keeping", keeping::measure),
    ("waiters", waiters::measure),
    ("memory", memory::measure),
    // Before `growth`: analyzing its ten million rows keeps old row versions from being removed here.
    ("churn", churn::measure),
    ("growth", growth::measure),
];
