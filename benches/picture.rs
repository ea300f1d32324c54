//! The figures as a bar chart: every ratio, and a line for the limit.

use std::fmt::Write;

use crate::figure::{Figure, Figures, Reach};

const LABEL: f64 = 430.0;
/// The width of a ratio of 1, the limit.
const ONE: f64 = 200.0;
/// Longer bars are cut. The number beside a bar is the whole ratio.
const LONGEST: f64 = 2.0;
const LINE: f64 = 20.0;

pub fn chart(figures: &Figures) -> String {
    let (mut body, mut y, mut block) = (String::new(), 40.0, ("", ""));
    for figure in figures.all.iter().filter(|figure| figure.ratio.is_some()) {
        if (figure.chapter, figure.engine) != block {
            block = (figure.chapter, figure.engine);
            y += LINE;
            let _ = writeln!(
                body,
                r#"<text x="10" y="{y}" class="head">{} · {}</text>"#,
                block.1, block.0
            );
            y += LINE;
        }
        body += &bar(figure, y);
        y += LINE;
    }
    let (width, height, limit) = (LABEL + ONE * LONGEST + 90.0, y + LINE, LABEL + ONE);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">
<style>.head{{font-weight:bold}}.met{{fill:#3a7d44}}.missed{{fill:#c8553d}}.plain{{fill:#8d99ae}}</style>
<rect width="100%" height="100%" fill="white"/>
<text x="10" y="24" font-size="16">Ratio to the limit measured in the same run, {date}; a tick marks the ratio to reach</text>
<line x1="{limit}" y1="36" x2="{limit}" y2="{y}" stroke="#333" stroke-dasharray="3 3"/>
{body}</svg>
"##,
        date = figures.date
    )
}

fn bar(figure: &Figure, y: f64) -> String {
    let ratio = figure.ratio.unwrap_or_default();
    let class = match figure.is_met() {
        Some(true) => "met",
        Some(false) => "missed",
        None => "plain",
    };
    let (width, top) = (ratio.min(LONGEST) * ONE, y - 11.0);
    let mut text = format!(
        "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\">{}</text><rect x=\"{LABEL}\" y=\"{top}\" width=\"{width:.1}\" height=\"13\" \
         class=\"{class}\"/><text x=\"{:.1}\" y=\"{y}\">{ratio:.2}</text>\n",
        LABEL - 8.0,
        escaped(&figure.what),
        LABEL + width + 6.0,
    );
    if let Some(Reach::AtLeast(bound)) = figure.reach {
        let x = LABEL + bound.min(LONGEST) * ONE;
        let _ = writeln!(
            text,
            r##"<line x1="{x}" y1="{top}" x2="{x}" y2="{}" stroke="#000" stroke-width="2"/>"##,
            top + 13.0
        );
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
