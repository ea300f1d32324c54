//! What `list` and `show` say about a lock.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

#[derive(Clone, Debug)]
pub struct Record {
    /// `group|name`, or the name alone.
    pub key: String,
    /// The holder, or the last holder if the lock is free.
    pub owner: String,
    pub fence: i64,
    pub acquired_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// `None` if nobody holds the lock.
    pub time_left: Option<Duration>,
    pub data: Option<String>,
}

impl From<diesel_locks::Record> for Record {
    fn from(record: diesel_locks::Record) -> Self {
        Self {
            key: record.key,
            owner: record.owner,
            fence: record.fence,
            acquired_at: record.acquired_at,
            expires_at: record.expires_at,
            time_left: record.time_left,
            data: record.data,
        }
    }
}

impl Record {
    pub fn group(&self) -> Option<&str> {
        self.key.split_once('|').map(|(group, _)| group)
    }

    pub fn name(&self) -> &str {
        self.key.split_once('|').map_or(&self.key, |(_, name)| name)
    }

    pub fn is_held(&self) -> bool {
        self.time_left.is_some()
    }

    /// For how long the lock has been held, by the database's clock. The record of a held lock tells the time of that
    /// clock: it is `time_left` before `expires_at`.
    pub fn held_for(&self) -> Option<Duration> {
        let now = self.expires_at - chrono::TimeDelta::from_std(self.time_left?).ok()?;
        (now - self.acquired_at).to_std().ok()
    }
}

/// A time in UTC, in the format of RFC 3339.
pub fn utc(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
