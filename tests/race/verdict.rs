//! The conditions that must hold when the race is over, and the number of times that each interesting thing happened.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::event::{Acquired, Committed, Event, Time};
use crate::ledger::{Row, Seen};
use crate::referee::Heard;

/// The longest time by which the workers of a dead holder may delay a takeover. It is generous.
const STARVED: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Verdict {
    wrong: Vec<String>,
    counts: Vec<(&'static str, usize)>,
    contention: usize,
    starved: Duration,
    took: Duration,
}

impl Verdict {
    pub fn of(heard: &Heard, rows: &[Row]) -> Self {
        let story = Story::of(&heard.events);
        let count = |event| heard.events.iter().filter(|it| **it == event).count();
        let counts = vec![
            ("takeovers", story.takeovers().count()),
            ("commits", story.commits.len()),
            ("commits after the lease was over", story.overran().count()),
            ("pins refused as lost", count(Event::Lost)),
            ("pins refused as expired", count(Event::Expired)),
            ("takeovers that waited for a pin", story.waited()),
            ("late replies", count(Event::Late)),
            ("stops", heard.stops),
            (
                "connections lost in a pinned transaction",
                count(Event::Vanished),
            ),
            ("holders that left workers behind", story.orphans.len()),
        ];
        Self {
            wrong: story.wrong(rows),
            counts,
            contention: count(Event::Contention),
            starved: story.starved(),
            took: heard.took,
        }
    }

    /// Checks that nothing is wrong. In the long form, everything that is counted must have happened: otherwise the
    /// race proves nothing about it.
    pub fn assert_right(&self, long: bool) {
        assert!(self.wrong.is_empty(), "{:#?}", self.first());
        assert!(self.starved < STARVED, "starved: {:?}", self.starved);
        let never = self.counts.iter().find(|(_, times)| *times == 0);
        if let (true, Some((what, _))) = (long, never) {
            panic!("never happened, so nothing is proved about it: {what}");
        }
    }

    /// Checks that the control shows something wrong. Otherwise the race could not find a stale commit.
    pub fn assert_wrong(&self) {
        let seen = !self.wrong.is_empty();
        assert!(seen, "no stale commit: this proves nothing");
    }

    fn first(&self) -> &[String] {
        &self.wrong[..self.wrong.len().min(20)]
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, times) in &self.counts {
            writeln!(f, "{times:>8} {what}")?;
        }
        writeln!(f, "{:>8} transactions to be tried again", self.contention)?;
        writeln!(f, "{:>8} times out of order", self.wrong.len())?;
        let longest = self.starved.as_millis();
        writeln!(
            f,
            "{longest:>5} ms from a lease's end to its takeover, the longest with workers left behind"
        )?;
        writeln!(f, "{:>6} s", self.took.as_secs())
    }
}

/// The events by kind.
struct Story {
    acquisitions: Vec<Acquired>,
    commits: Vec<Committed>,
    released: BTreeSet<i64>,
    orphans: Vec<(i64, Time)>,
}

impl Story {
    fn of(events: &[Event]) -> Self {
        let mut story = Self {
            acquisitions: Vec::new(),
            commits: Vec::new(),
            released: BTreeSet::new(),
            orphans: Vec::new(),
        };
        for event in events {
            match *event {
                Event::Acquired(it) => story.acquisitions.push(it),
                Event::Committed(it) => story.commits.push(it),
                Event::Released(fence) => drop(story.released.insert(fence)),
                Event::Orphaned(fence, dead) => story.orphans.push((fence, dead)),
                _ => {}
            }
        }
        story.acquisitions.sort_by_key(|it| it.fence);
        story
    }

    /// The acquisitions whose earlier holder did not release, each with the fence of that holder.
    fn takeovers(&self) -> impl Iterator<Item = (i64, &Acquired)> {
        let pairs = self.acquisitions.windows(2);
        let pairs = pairs.map(|pair| (pair[0].fence, &pair[1]));
        pairs.filter(|(before, _)| !self.released.contains(before))
    }

    fn overran(&self) -> impl Iterator<Item = &Committed> {
        self.commits.iter().filter(|commit| commit.overran)
    }

    /// The number of takeovers that had to wait: an open transaction of the earlier holder kept the lock after its
    /// lease had expired.
    fn waited(&self) -> usize {
        let mut open: BTreeMap<i64, Vec<&Committed>> = BTreeMap::new();
        for commit in self.overran() {
            open.entry(commit.fence).or_default().push(commit);
        }
        let met = |since: Time, it: &&Committed| (it.pinned..it.ended).contains(&since);
        let waited = |(before, it): &(i64, &Acquired)| {
            let pins = open.get(before);
            pins.is_some_and(|pins| pins.iter().any(|pin| met(it.since, pin)))
        };
        self.takeovers().filter(waited).count()
    }

    /// The longest time from the expiry of a dead holder's lease to the next acquisition.
    fn starved(&self) -> Duration {
        let at: BTreeMap<i64, Time> = self
            .takeovers()
            .map(|(before, it)| (before, it.at))
            .collect();
        let waits = self
            .orphans
            .iter()
            .filter_map(|(fence, dead)| Some(at.get(fence)? - dead));
        let longest = waits.max().unwrap_or_default();
        Duration::from_micros(u64::try_from(longest).unwrap_or_default())
    }

    fn wrong(&self, rows: &[Row]) -> Vec<String> {
        let mut wrong = Vec::new();
        let written = counted(rows.iter().map(|row| row.fence));
        let reported = counted(self.commits.iter().map(|commit| commit.fence));
        if written != reported {
            wrong.push(format!(
                "{} rows and {} commits",
                rows.len(),
                self.commits.len()
            ));
        }
        for row in rows {
            wrong.extend(out_of_order(row.fence, row.seen, &written));
        }
        for it in &self.acquisitions {
            // The next holder may have written before this look, so `later` is not compared.
            let seen = Seen {
                later: 0,
                ..it.seen
            };
            wrong.extend(out_of_order(it.fence, seen, &written));
        }
        wrong.extend(self.fences_out_of_order());
        wrong
    }

    /// All fences differ. An acquisition that was answered before another was requested has the smaller fence.
    fn fences_out_of_order(&self) -> Vec<String> {
        let (mut wrong, mut latest) = (Vec::new(), Time::MIN);
        for pair in self.acquisitions.windows(2) {
            latest = latest.max(pair[0].sent);
            if pair[0].fence == pair[1].fence || pair[1].at < latest {
                wrong.push(format!("fences do not grow: {pair:?}"));
            }
        }
        wrong
    }
}

fn counted(fences: impl Iterator<Item = i64>) -> BTreeMap<i64, i64> {
    let mut counts = BTreeMap::new();
    for fence in fences {
        *counts.entry(fence).or_default() += 1;
    }
    counts
}

/// Returns a message unless the holder of this fence has seen all rows of the last holder before it, and no row of a
/// later holder.
fn out_of_order(fence: i64, seen: Seen, written: &BTreeMap<i64, i64>) -> Option<String> {
    let before = written.range(..fence).next_back();
    let (&previous, &previous_rows) = before.unwrap_or((&0, &0));
    let right = Seen {
        previous,
        previous_rows,
        later: 0,
    };
    (seen != right).then(|| format!("{fence} has seen {seen:?}, and in the end it is {right:?}"))
}
