//! The ratios as a chart: a row for each contestant, a column for each engine, and a line in each column for the limit.

use crate::engine::Engine;
use crate::figure::{Figure, Figures, Reach};

const LABEL: f64 = 430.0;
/// The width of the column of an engine.
const COLUMN: f64 = 236.0;
/// The width of the number before a bar.
const NUMBER: f64 = 46.0;
/// The width of a ratio of 1, the limit.
const ONE: f64 = 70.0;
/// Longer bars are cut. The number before a bar is the whole ratio.
const LONGEST: f64 = 2.0;
const LINE: f64 = 20.0;
const BAR: f64 = 13.0;

const HEAD: &str = r#"font-family="sans-serif" font-size="13">
<style>.head{font-weight:bold}.number{text-anchor:end}.limit{fill:#666;font-style:italic}.met{fill:#3a7d44}.missed{fill:#d08c2c}.others{fill:#8d99ae}</style>
<rect width="100%" height="100%" fill="white"/>
"#;

pub fn chart(figures: &Figures) -> String {
    let rows = rows(figures);
    let (mut body, mut y, mut chapter, mut limit) = (String::new(), 60.0, "", "");
    for row in &rows {
        if row.chapter() != chapter {
            (chapter, limit) = (row.chapter(), "");
            y += 2.0 * LINE;
            body += &heading(chapter, y);
        }
        if row.limit() != limit {
            limit = row.limit();
            y += LINE;
            body += &text(10.0, y, "limit", &format!("to: {limit}"));
        }
        y += LINE;
        body += &text(20.0, y, "", row.what());
        for figure in &row.0 {
            body += &bar(figure, y);
        }
    }
    let (width, height) = (left(Engine::ALL.len()), y + LINE);
    let title = format!(
        "Ratio to the limit measured in the same run, {}: longer is faster, and the dashed line is the limit",
        figures.date
    );
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {HEAD}{}{}{body}</svg>
"#,
        text(10.0, 24.0, "head", &title),
        legend(48.0),
    )
}

/// The figures of one contestant, at most one for each engine.
struct Row<'a>(Vec<&'a Figure>);

impl<'a> Row<'a> {
    fn chapter(&self) -> &'a str {
        self.0[0].chapter
    }

    fn limit(&self) -> &'a str {
        self.0[0].limit.as_deref().unwrap_or_default()
    }

    fn what(&self) -> &'a str {
        &self.0[0].what
    }

    fn is_beside(&self, figure: &Figure) -> bool {
        self.0[0].chapter == figure.chapter && self.0[0].limit == figure.limit
    }
}

fn rows(figures: &Figures) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for figure in figures.all.iter().filter(|figure| figure.limit.is_some()) {
        let is_of = |row: &&mut Row<'_>| row.is_beside(figure) && row.what() == figure.what;
        if let Some(row) = rows.iter_mut().find(is_of) {
            row.0.push(figure);
        } else {
            let last = rows.iter().rposition(|row| row.is_beside(figure));
            rows.insert(last.map_or(rows.len(), |last| last + 1), Row(vec![figure]));
        }
    }
    rows
}

/// The left end of the column of the engine with this number.
fn left(engine: usize) -> f64 {
    (0..engine).fold(LABEL, |left, _| left + COLUMN)
}

fn heading(chapter: &str, y: f64) -> String {
    let columns = Engine::ALL.iter().enumerate();
    let name =
        |(number, engine): (usize, &Engine)| text(left(number) + NUMBER, y, "head", engine.name());
    let columns = columns.map(name);
    text(10.0, y, "head", chapter) + &columns.collect::<String>()
}

fn bar(figure: &Figure, y: f64) -> String {
    let mut engines = Engine::ALL.iter();
    let number = engines.position(|engine| engine.name() == figure.engine);
    let left = left(number.unwrap_or_default()) + NUMBER;
    let ratio = figure.ratio.unwrap_or_default();
    let class = match figure.is_met() {
        _ if figure.is_of_others => "others",
        Some(false) => "missed",
        _ => "met",
    };
    let mut drawn = text(left - 6.0, y, "number", &format!("{ratio:.2}"));
    drawn += &block(left, y, ratio.min(LONGEST) * ONE, class);
    drawn += &line(left + ONE, (y - 15.0, y + 5.0), r#"stroke-dasharray="3 3""#);
    match figure.reach {
        Some(Reach::AtLeast(bound)) if bound <= LONGEST => {
            let x = left + bound * ONE;
            drawn += &line(x, (y - 11.0, y + 2.0), r#"stroke-width="2""#);
        }
        Some(Reach::AtLeast(bound)) => {
            drawn += &text(left + LONGEST * ONE + 4.0, y, "", &format!("≥ {bound}"));
        }
        _ => {}
    }
    drawn
}

fn legend(y: f64) -> String {
    let entries = [
        ("met", "diesel-locks"),
        (
            "missed",
            "diesel-locks, short of the ratio to reach (the tick, or ≥)",
        ),
        ("others", "other libraries, and their protocols"),
    ];
    let (mut x, mut drawn) = (10.0, String::new());
    for (class, what) in entries {
        drawn += &block(x, y, 20.0, class);
        drawn += &text(x + 26.0, y, "", what);
        x += if class == "missed" { 420.0 } else { 140.0 };
    }
    drawn
}

fn text(x: f64, y: f64, class: &str, what: &str) -> String {
    let what = what
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!("<text x=\"{x:.1}\" y=\"{y}\" class=\"{class}\">{what}</text>\n")
}

fn block(x: f64, y: f64, width: f64, class: &str) -> String {
    let top = y - 11.0;
    format!(
        "<rect x=\"{x}\" y=\"{top}\" width=\"{width:.1}\" height=\"{BAR}\" class=\"{class}\"/>\n"
    )
}

/// A vertical line.
fn line(x: f64, (top, bottom): (f64, f64), style: &str) -> String {
    format!(
        "<line x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#000\" {style}/>\n"
    )
}
