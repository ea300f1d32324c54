//! A limit and its contestants run in turn, for several rounds.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::form::Form;

/// Work that can be repeated for a while. `run` returns how often it was done per second.
pub struct Contestant<'a> {
    pub what: String,
    /// Whether the contestant is another library, or its protocol.
    is_of_others: bool,
    run: Box<dyn FnMut(Duration) -> f64 + 'a>,
}

impl<'a> Contestant<'a> {
    pub fn new(what: impl Into<String>, run: impl FnMut(Duration) -> f64 + 'a) -> Self {
        Self {
            what: what.into(),
            is_of_others: false,
            run: Box::new(run),
        }
    }

    /// The contestant is another library, or its protocol.
    pub fn of_others(mut self) -> Self {
        self.is_of_others = true;
        self
    }

    /// A contestant with one client.
    pub fn alone(what: impl Into<String>, mut once: impl FnMut() + 'a) -> Self {
        Self::new(what, move |time| {
            let (began, mut done) = (Instant::now(), 0_u32);
            while began.elapsed() < time {
                once();
                done += 1;
            }
            f64::from(done) / began.elapsed().as_secs_f64()
        })
    }

    /// A contestant with one thread for each client. What ends after the time does not count.
    pub fn side_by_side<C: Send + 'a>(
        what: impl Into<String>,
        mut clients: Vec<C>,
        once: impl Fn(&mut C) + Sync + 'a,
    ) -> Self {
        Self::new(what, move |time| side_by_side(&mut clients, &once, time))
    }
}

fn side_by_side<C: Send>(
    clients: &mut [C],
    once: &(impl Fn(&mut C) + Sync),
    time: Duration,
) -> f64 {
    let done = AtomicUsize::new(0);
    let start = Barrier::new(clients.len());
    std::thread::scope(|scope| {
        for client in clients {
            scope.spawn(|| {
                start.wait();
                let began = Instant::now();
                loop {
                    once(client);
                    if began.elapsed() >= time {
                        break;
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    number(done.into_inner()) / time.as_secs_f64()
}

/// The result of one contestant.
pub struct Score {
    pub what: String,
    /// Whether the contestant is another library, or its protocol.
    pub is_of_others: bool,
    /// The median of the rounds, per second.
    pub rate: f64,
    /// The median of the ratios to the first contestant, each within one round.
    pub ratio: f64,
    /// Between these two is the middle half of these ratios.
    pub spread: (f64, f64),
}

/// Runs the contestants. The first one is the limit.
pub fn compare(form: &Form, mut contestants: Vec<Contestant<'_>>) -> Vec<Score> {
    let mut rates = vec![Vec::new(); contestants.len()];
    for round in 0..=form.rounds {
        for (contestant, rates) in contestants.iter_mut().zip(&mut rates) {
            let rate = (contestant.run)(form.slice);
            // The first round is a warm-up.
            if round > 0 {
                rates.push(rate);
            }
        }
    }
    let limit = rates[0].clone();
    let score = |(contestant, rates): (Contestant<'_>, Vec<f64>)| {
        let ratios: Vec<f64> = rates
            .iter()
            .zip(&limit)
            .map(|(rate, limit)| rate / limit)
            .collect();
        Score {
            what: contestant.what,
            is_of_others: contestant.is_of_others,
            rate: median(&rates),
            ratio: median(&ratios),
            spread: (percentile(&ratios, 25), percentile(&ratios, 75)),
        }
    };
    contestants.into_iter().zip(rates).map(score).collect()
}

pub fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}

/// The percentile.
pub fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(last * percent / 100)
        .copied()
        .unwrap_or(f64::NAN)
}

/// A count as a floating-point number.
#[expect(clippy::cast_precision_loss, reason = "no count here is near 2^52")]
pub fn number(count: usize) -> f64 {
    count as f64
}
