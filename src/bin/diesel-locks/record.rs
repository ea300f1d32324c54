//! What `list`, `show` and `release` say about the record of a lock.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use diesel_locks::Record;

/// For how long the lock has been held, by the database's clock. The record of a held lock tells the time of that
/// clock: it is `time_left` before `expires_at`.
pub fn held_for(record: &Record) -> Option<Duration> {
    let now = record.expires_at - chrono::TimeDelta::from_std(record.time_left?).ok()?;
    (now - record.acquired_at).to_std().ok()
}

/// A time in UTC, in the format of RFC 3339.
pub fn utc(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
