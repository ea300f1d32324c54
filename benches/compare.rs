//! The figures of two commits, side by side. Each commit was measured several times, in turn with the other.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use serde_json::Value;

use crate::rounds::{median, percentile};

/// The figures of one row, by run.
#[derive(Default)]
struct Row {
    before: Vec<f64>,
    now: Vec<f64>,
}

/// Reads `before-1.json`, `now-1.json`, `before-2.json` and so on, and prints a table of the rows that both have.
pub fn print(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut rows = BTreeMap::new();
    let mut order = Vec::new();
    for run in 1.. {
        let file = |side| std::fs::read(folder.join(format!("{side}-{run}.json")));
        let (Ok(before), Ok(now)) = (file("before"), file("now")) else {
            break;
        };
        for (what, figure) in figures(&before)? {
            let row: &mut Row = rows.entry(what.clone()).or_insert_with(|| {
                order.push(what);
                Row::default()
            });
            row.before.push(figure);
        }
        for (what, figure) in figures(&now)? {
            if let Some(row) = rows.get_mut(&what) {
                row.now.push(figure);
            }
        }
    }
    println!("\nThe ratio to the limit of the same run, or else the value: before → now\n");
    for what in order {
        let row = &rows[&what];
        if !row.now.is_empty() {
            println!("{}", line(&what, row));
        }
    }
    Ok(())
}

/// The figures of a run, each with its name.
fn figures(json: &[u8]) -> Result<Vec<(String, f64)>, Box<dyn Error>> {
    let all: Value = serde_json::from_slice(json)?;
    let all = all["figures"].as_array().ok_or("no figures")?;
    let word = |figure: &Value, of| figure[of].as_str().unwrap_or_default().to_owned();
    let mut block = String::new(); // the limit: rows of several blocks may differ only by their limits
    let mut named = Vec::new();
    for figure in all {
        let (what, ratio) = (word(figure, "what"), figure["ratio"].as_f64());
        if figure["spread"] == serde_json::json!([1.0, 1.0]) {
            block.clone_from(&what);
            continue;
        }
        let place = format!("{} · {}", word(figure, "engine"), word(figure, "chapter"));
        let limit = figure["limit"].as_str().unwrap_or(&block);
        let (of, value) = match ratio {
            Some(ratio) => (format!(" ({limit})"), ratio),
            None => (String::new(), figure["value"].as_f64().unwrap_or(f64::NAN)),
        };
        named.push((format!("{place} · {what}{of}"), value));
    }
    Ok(named)
}

fn line(what: &str, Row { before, now }: &Row) -> String {
    let range = |figures: &[f64]| {
        let (least, most) = (percentile(figures, 0), percentile(figures, 100));
        format!("{:.2} ({least:.2} to {most:.2})", median(figures))
    };
    let change = median(now) / median(before);
    format!(
        "{what:<90} {:<24} → {:<24} ×{change:.2}",
        range(before),
        range(now)
    )
}
