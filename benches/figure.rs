//! The measured figures.

use serde::Serialize;

use crate::form::Form;
use crate::rounds::Score;

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub chapter: &'static str,
    pub engine: &'static str,
    pub what: String,
    /// Whether the contestant is another library, or its protocol.
    pub is_of_others: bool,
    pub value: f64,
    pub unit: &'static str,
    /// The ratio to the limit of the same run.
    pub ratio: Option<f64>,
    /// The label of the limit. `None` for the limit itself, and for a figure without a ratio.
    pub limit: Option<String>,
    /// Between these two is the middle half of the rounds' ratios.
    pub spread: Option<(f64, f64)>,
    /// The bound to reach, for the ratio if there is one, and otherwise for the value.
    pub reach: Option<Reach>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    AtLeast(f64),
    AtMost(f64),
}

impl Reach {
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

impl Figure {
    /// Returns whether the figure reaches its bound.
    pub fn is_met(&self) -> Option<bool> {
        Some(self.reach?.is_met(self.ratio.unwrap_or(self.value)))
    }
}

/// All figures of a run, with its date and machine.
#[derive(Serialize)]
pub struct Figures {
    pub form: &'static str,
    pub machine: String,
    pub date: String,
    #[serde(rename = "figures")]
    pub all: Vec<Figure>,
}

impl Figures {
    pub fn new(form: &Form) -> Self {
        Self {
            form: form.name,
            machine: machine(),
            date: output("date", &["-u", "+%Y-%m-%d"]),
            all: Vec::new(),
        }
    }

    /// Adds a figure, and prints it at once, because a benchmark takes long.
    pub fn add(&mut self, figure: Figure) {
        let ratio = figure
            .ratio
            .map(|ratio| format!("×{ratio:.2}"))
            .unwrap_or_default();
        println!(
            "  {:<58}{:>12.2} {:<10}{ratio}",
            figure.what, figure.value, figure.unit
        );
        self.all.push(figure);
    }

    /// Adds a value without a limit.
    pub fn value(
        &mut self,
        of: (&'static str, &'static str),
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) {
        self.reaching(of, what, (value, unit), None);
    }

    /// Adds a value with a bound to reach.
    pub fn reaching(
        &mut self,
        (chapter, engine): (&'static str, &'static str),
        what: impl Into<String>,
        (value, unit): (f64, &'static str),
        reach: Option<Reach>,
    ) {
        self.add(Figure {
            chapter,
            engine,
            what: what.into(),
            is_of_others: false,
            value,
            unit,
            ratio: None,
            limit: None,
            spread: None,
            reach,
        });
    }

    /// Adds the limit and its contestants, with the bounds that these are to reach.
    pub fn scores(
        &mut self,
        (chapter, engine): (&'static str, &'static str),
        unit: &'static str,
        scores: Vec<Score>,
        reach: impl Fn(usize) -> Option<Reach>,
    ) {
        let limit = scores[0].what.clone();
        for (index, score) in scores.into_iter().enumerate() {
            self.add(Figure {
                chapter,
                engine,
                what: score.what,
                is_of_others: score.is_of_others,
                value: score.rate,
                unit,
                ratio: Some(score.ratio),
                limit: (index > 0).then(|| limit.clone()),
                spread: Some(score.spread),
                reach: reach(index),
            });
        }
    }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    format!("{cores} cores of {model}, {}", output("uname", &["-s"]))
}

fn output(program: &str, words: &[&str]) -> String {
    let output = std::process::Command::new(program).args(words).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
