//! A lease: a lock that was acquired.
//!
//! Trust (I3): a process may trust a lease until *the moment before the request was sent* + ttl − margin, on the clock
//! of this process. The database begins to count later than that moment, whatever the network does to the answer,
//! because the request has to arrive first. So trust ends before the lease expires, as long as both clocks run at about
//! the same rate; the margin covers the difference. No clock of the database is ever compared with a local clock.
//!
//! Extending never makes a lease shorter, neither in the row nor in this process: another process may have a copy of
//! the lease, and may already trust the longer time.

use std::str::FromStr;
use std::time::Duration;

use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lock::{LONGEST_TTL, Lock, valid_ttl};
use crate::name::Name;
use crate::table::Table;
use crate::token::Token;

/// The part of a ttl that is not trusted: a tenth, at least a tick of the coarsest clock (SQLite's) and at most a
/// second. It covers clocks that run at different rates, and it leaves the work time to stop.
const MARGIN: u32 = 10;
const SMALLEST_MARGIN: Duration = Duration::from_millis(1);
const LARGEST_MARGIN: Duration = Duration::from_secs(1);

/// A lock that was acquired, by this process or by the process that handed the lease over.
///
/// Every process that has the lease can pin, extend and release it. A clone is the same lease, and so is its text in
/// another process. Dropping a `Lease` does nothing: the lock stays acquired until it is released or the ttl is over.
///
/// Use a `Lease` for a lock on a connection of your own. Nothing extends it in the background; if you want that, use a
/// [guard](crate::locker::Guard).
///
/// ```
/// # use diesel::Connection;
/// # let mut conn = diesel::SqliteConnection::establish(":memory:").unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// use diesel_locks::blocking::{LeaseDsl, LockDsl};
/// use diesel_locks::{Attempt, Lease, Lock};
///
/// let Attempt::Acquired(lease) = Lock::new("import")?.try_acquire(&mut conn)? else {
///     panic!("somebody else is importing");
/// };
/// let handed_over = lease.to_text();                   // a secret: a process that knows it can act as the holder
///
/// let mut lease: Lease = handed_over.parse()?;         // in another process
/// lease.extend(&mut conn)?;                            // trusted from here on; an error if the lease is lost
/// lease.release(&mut conn)?;
/// # Ok::<(), diesel_locks::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lease {
    pub(crate) lock: Lock,
    pub(crate) token: Token,
    pub(crate) fence: i64,
    trusted_until: Option<Moment>,
    /// When the lease ends that was acquired, before any extension; `None` if this process does not know.
    pub(crate) first_end: Option<Moment>,
    /// Whether a guarded transaction has pinned the lease. The release then takes a mark along that was made meanwhile:
    /// see `managed/turn.rs`.
    pub(crate) was_pinned: bool,
}

impl Lease {
    pub(crate) fn new(lock: &Lock, token: Token, fence: i64, sent: Moment) -> Self {
        Self {
            lock: lock.clone(),
            token,
            fence,
            trusted_until: Some(trusted_until(sent, lock.ttl)),
            first_end: Some(sent.after(lock.ttl)),
            was_pinned: false,
        }
    }

    /// A lease that is trusted until this moment.
    pub(crate) fn trusted_until_then(lock: Lock, token: Token, fence: i64, until: Moment) -> Self {
        Self {
            lock,
            token,
            fence,
            trusted_until: Some(until),
            first_end: None,
            was_pinned: false,
        }
    }

    /// Whether the lease has reached the end that it got at its acquisition; `None` if this process does not know.
    pub(crate) fn has_reached_first_end(&self) -> Option<bool> {
        self.first_end.map(|end| end <= Moment::now())
    }

    /// The lock that this lease holds.
    #[must_use]
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// The number of this acquisition. It is larger than the number of every earlier acquisition of this name.
    ///
    /// If the work changes something outside the database, send the fence along. The other side must refuse a fence
    /// that is smaller than one it has seen.
    #[must_use]
    pub fn fence(&self) -> i64 {
        self.fence
    }

    /// How long this process may still rely on being the holder, without asking the database. Zero if it may not rely
    /// on it any more.
    ///
    /// This time is shorter than the time left in the table. A process that got the lease as text starts with zero,
    /// until it extends the lease for the first time.
    ///
    /// An extension inside a transaction does not count, because a rollback would take it back. For a lease that was
    /// acquired in a transaction, the time is calculated as if the transaction will commit: do not rely on it before
    /// the commit.
    ///
    /// It is no proof: a process can be paused right after this call. If a write must not happen without the lease, do
    /// it in a transaction that [pins](crate::blocking::LeaseDsl::pin) the lease.
    #[must_use]
    pub fn trusted_for(&self) -> Duration {
        let now = Moment::now();
        self.trusted_until
            .map_or(Duration::ZERO, |until| until.since(now))
    }

    /// The lease as text, to hand it over to another process. The other process reads it with [`str::parse`].
    ///
    /// Keep the text as secret as a password: a process that knows it can release the lock, and commit as its holder.
    #[must_use]
    pub fn to_text(&self) -> String {
        let table = &self.lock.table;
        let by_writing = self.lock.pins_by_writing;
        let fields = [
            if by_writing { FORMAT_WRITING } else { FORMAT },
            &self.fence.to_string(),
            &self.lock.ttl.as_micros().to_string(),
            &escape(self.token.reveal()),
            &escape(table.schema().unwrap_or_default()),
            &escape(table.name()),
            &escape(self.lock.key()),
        ];
        fields.join(":")
    }

    /// The token. A process that knows the token can release the lock, and commit as its holder.
    #[must_use]
    pub fn token(&self) -> &str {
        self.token.reveal()
    }

    pub(crate) fn lost(&self) -> Error {
        Error::Lost {
            key: self.lock.key().to_owned(),
        }
    }

    /// The moment from which this process must not rely on the lease any more.
    pub(crate) fn trusted_until(&self) -> Moment {
        self.trusted_until.unwrap_or_default()
    }

    /// Notes that the request sent at that moment has extended the lease to this ttl.
    pub(crate) fn trust(&mut self, sent: Moment, ttl: Duration) {
        self.trusted_until = self.trusted_until.max(Some(trusted_until(sent, ttl)));
    }

    /// Until when to trust the lease, if a request was sent at the moment `asked` and its answer says that the time
    /// `left` is left. A database whose clock was set back says more than the ttl. Such an answer is trusted for the ttl
    /// and not longer: when the clock is put right, the lease ends as early as it would have ended.
    pub(crate) fn trust_until(&self, asked: Moment, left: Duration) -> Moment {
        let ttl = self.lock.ttl;
        asked.after(left.min(ttl).saturating_sub(margin(ttl)))
    }

    /// Notes that the request sent at that moment has added the time `by` to what was left.
    pub(crate) fn trust_longer(&mut self, sent: Moment, by: Duration) {
        let latest = trusted_until(sent, LONGEST_TTL);
        let added = by.saturating_sub(margin(by));
        let longer = self
            .trusted_until
            .map(|until| until.after(added).min(latest));
        self.trusted_until = longer.max(Some(trusted_until(sent, by)));
    }
}

/// Whether an answer can be quick enough for a lease of this ttl to be trusted at all.
pub(crate) fn can_be_trusted(ttl: Duration) -> bool {
    ttl > SMALLEST_MARGIN
}

fn trusted_until(sent: Moment, ttl: Duration) -> Moment {
    sent.after(ttl.saturating_sub(margin(ttl)))
}

fn margin(ttl: Duration) -> Duration {
    (ttl / MARGIN).clamp(SMALLEST_MARGIN, LARGEST_MARGIN)
}

const FORMAT: &str = "lease1";
/// The format for a lock that is [pinned by writing](Lock::pin_by_writing).
const FORMAT_WRITING: &str = "lease1w";

impl FromStr for Lease {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        read(text).ok_or_else(|| Error::Invalid {
            what: "text of a lease",
            value: format!("of {} bytes", text.len()), // not the text: it may be a secret
            remedy: "what `Lease::to_text` returned, unchanged",
        })
    }
}

fn read(text: &str) -> Option<Lease> {
    let fields: Vec<String> = text.split(':').map(unescape).collect::<Option<_>>()?;
    let [format, fence, ttl, token, schema, table, key] = fields.try_into().ok()?;
    let mut table = Table::new(&table).ok()?;
    if !schema.is_empty() {
        table = table.in_schema(&schema).ok()?;
    }
    let mut lock = Lock::named(Name::from_key(&key).ok()?).in_table(table);
    lock.ttl = valid_ttl(Duration::from_micros(ttl.parse().ok()?)).ok()?;
    lock.pins_by_writing = match &*format {
        FORMAT => false,
        FORMAT_WRITING => true,
        _ => return None,
    };
    Some(Lease {
        lock,
        token: Token::new(&token).ok()?,
        fence: fence.parse().ok()?,
        trusted_until: None,
        first_end: None,
        was_pinned: false,
    })
}

/// Writes each byte as `%` and two hexadecimal digits, except letters, digits, `-` and `_`. So the text passes through
/// headers, environments and command lines unchanged.
fn escape(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'-' | b'_' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02x}"),
    };
    text.bytes().map(escape).collect()
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Lease, trusted_until};
    use crate::clock::Moment;
    use crate::lock::Lock;
    use crate::table::Table;
    use crate::token::Token;

    fn lease(lock: &Lock) -> Lease {
        Lease::new(lock, Token::new("to:ken%").unwrap(), 7, Moment::now())
    }

    #[test]
    fn trust_counts_from_before_the_request_and_ends_before_the_ttl() {
        let sent = Moment::now();
        let until = |ttl| trusted_until(sent, ttl).since(sent);
        assert_eq!(until(Duration::from_secs(30)), Duration::from_secs(29));
        assert_eq!(until(Duration::from_millis(100)), Duration::from_millis(90));
    }

    #[test]
    fn what_is_left_is_trusted_less_the_margin_of_the_ttl() {
        let (lease, asked) = (lease(&Lock::new("x").unwrap()), Moment::now());
        let until = |left| lease.trust_until(asked, left).since(asked);
        assert_eq!(until(lease.lock.ttl), Duration::from_secs(29));
        assert_eq!(until(Duration::from_secs(3)), Duration::from_secs(2));
        assert_eq!(until(Duration::from_millis(500)), Duration::ZERO);
    }

    #[test]
    fn no_answer_is_trusted_for_longer_than_the_ttl() {
        let (lease, asked) = (lease(&Lock::new("x").unwrap()), Moment::now());
        let hour = Duration::from_secs(3_600); // what is left by a clock that was set back
        assert_eq!(
            lease.trust_until(asked, hour).since(asked),
            Duration::from_secs(29)
        );
    }

    #[test]
    fn extending_never_takes_trust_away() {
        let mut lease = lease(&Lock::new("x").unwrap());
        let before = lease.trusted_until;
        lease.trust(Moment::now(), Duration::from_millis(5));
        assert_eq!(lease.trusted_until, before);
        lease.trust_longer(Moment::now(), Duration::from_secs(5));
        let added = Duration::from_millis(4_500); // less the margin of what was added
        assert_eq!(lease.trusted_until, before.map(|until| until.after(added)));
    }

    #[test]
    fn a_lease_survives_as_text_but_its_trust_does_not() {
        let table = Table::new("odd:%\"table")
            .unwrap()
            .in_schema("s c")
            .unwrap();
        let lock = Lock::in_group("a:b", "c|d 🔒")
            .unwrap()
            .in_table(table)
            .pin_by_writing();
        let there = lease(&lock);
        let here: Lease = there.to_text().parse().unwrap();
        assert_eq!(
            (here.lock.key(), &here.lock.table),
            (lock.key(), &lock.table)
        );
        assert_eq!(
            (&here.token, here.fence, here.lock.ttl),
            (&there.token, 7, lock.ttl)
        );
        assert!(here.lock.pins_by_writing);
        assert_eq!(here.trusted_for(), Duration::ZERO);
        assert!(there.trusted_for() > Duration::ZERO);
    }

    #[test]
    fn text_that_is_no_lease_is_refused_and_not_repeated() {
        let whole = lease(&Lock::new("x").unwrap()).to_text();
        for bad in [
            "",
            "secret",
            &whole[1..],
            &whole.replace(':', ";"),
            &format!("{whole}%"),
        ] {
            let error = bad.parse::<Lease>().unwrap_err().to_string();
            assert!(
                error.contains("to_text") && !error.contains("secret"),
                "{bad}: {error}"
            );
        }
    }

    #[test]
    fn debug_does_not_show_the_token() {
        let lease = Lease::new(
            &Lock::new("x").unwrap(),
            Token::new("open-sesame").unwrap(),
            1,
            Moment::now(),
        );
        assert!(!format!("{lease:?}").contains("sesame"));
    }
}
