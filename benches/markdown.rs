//! The figures as a page of tables, for people.

use std::fmt::Write;

use crate::figure::{Figure, Figures, Reach};

pub fn page(figures: &Figures) -> String {
    let Figures {
        form,
        machine,
        date,
        ..
    } = figures;
    let mut text = format!(
        "# What the locks cost\n\n`cargo xtask bench {form}`, {date}, on {machine}. The servers flush every commit to disk. A \
         ratio compares a row with the limit, the first row of its block, which runs in turn with it. It is the median of \
         the rounds; the middle half of them is in parentheses. ✓ or ✗ says whether a figure reaches its bound.\n\n![ratios]({form}.svg)\n"
    );
    for chapter in chapters(figures) {
        let _ = write!(
            text,
            "\n## {chapter}\n\n| | what | | ratio | to reach | |\n|---|---|--:|--:|--:|---|\n"
        );
        let of_it = figures
            .all
            .iter()
            .filter(|figure| figure.chapter == chapter);
        text.extend(of_it.map(line));
    }
    text
}

/// The chapters in their order. A chapter has the figures of all engines.
fn chapters(figures: &Figures) -> Vec<&'static str> {
    let mut chapters = Vec::new();
    for figure in &figures.all {
        if !chapters.contains(&figure.chapter) {
            chapters.push(figure.chapter);
        }
    }
    chapters
}

fn line(figure: &Figure) -> String {
    let Figure {
        engine,
        what,
        value,
        unit,
        ..
    } = figure;
    let spread = figure
        .spread
        .map(|(least, most)| format!(" ({least:.2} to {most:.2})"))
        .unwrap_or_default();
    let ratio = figure
        .ratio
        .map(|ratio| format!("{ratio:.2}{spread}"))
        .unwrap_or_default();
    let reach = match figure.reach {
        Some(Reach::AtLeast(bound)) => format!("≥ {bound:.2}"),
        Some(Reach::AtMost(bound)) => format!("≤ {bound:.2}"),
        None => String::new(),
    };
    let met = match figure.is_met() {
        Some(true) => "✓",
        Some(false) => "✗",
        None => "",
    };
    format!(
        "| {engine} | {what} | {} {unit} | {ratio} | {reach} | {met} |\n",
        short(*value)
    )
}

/// At least three significant digits, and all digits before the point.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
