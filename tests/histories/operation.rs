//! The operations of the clients, and what a client says of its trust. A process prints a line when it asks, and another
//! line when it has the answer. So a process that is killed leaves operations without an answer.

use std::fmt;

use diesel_locks_tests::clock::Time;

/// Gives each value of an enum the word for it in a line.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $value:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $value,)+ }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$value),+];

            pub fn word(self) -> &'static str {
                match self { $(Self::$value => $word,)+ }
            }

            fn read(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.word() == word)
            }
        }
    };
}

words! {
    /// The way in which a client uses the crate.
    Kind {
        ManagedAsync = "managed-async",
        ManagedBlocking = "managed-blocking",
        AsyncStatements = "async-statements",
        BlockingStatements = "blocking-statements",
    }
}

words! {
    /// What a client asks for.
    Act {
        Try = "try",
        /// Acquires with a wait.
        Wait = "wait",
        /// Waits, works and releases in one call. It is answered when the work begins.
        Run = "run",
        Extend = "extend",
        /// A transaction under the lease.
        Commit = "commit",
        /// A transaction under the lease that releases with its commit.
        Finish = "finish",
        Release = "release",
        /// Drops a guard. The release follows in the background, so this never has an answer.
        Drop = "drop",
        Force = "force",
    }
}

words! {
    /// The answer, without its number.
    Word {
        /// The number is the fence.
        Acquired = "acquired",
        /// The number is the fence of the holder, or 0 if no holder was named.
        Busy = "busy",
        Done = "done",
        /// Done, although the lease had expired.
        Late = "late",
        Lost = "lost",
        Expired = "expired",
        /// There was nothing to release by force.
        Free = "free",
        /// A release by force was refused.
        InUse = "in-use",
        /// An error. Nobody knows what the database did.
        Failed = "failed",
        /// The client has dropped the call before its answer.
        Cancelled = "cancelled",
    }
}

impl Kind {
    pub fn is_managed(self) -> bool {
        matches!(self, Self::ManagedAsync | Self::ManagedBlocking)
    }
}

impl Act {
    pub fn waits(self) -> bool {
        matches!(self, Self::Wait | Self::Run)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Client {
    pub process: u64,
    pub kind: Kind,
    pub number: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub at: Time,
    pub word: Word,
    pub number: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub id: i64,
    pub client: Client,
    pub act: Act,
    pub name: String,
    /// The fence of the lease that the operation is about. 0 where it is about no lease.
    pub fence: i64,
    pub asked: Time,
    pub answer: Option<Answer>,
}

/// A client said that it may rely on its lease from one time to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub name: String,
    pub fence: i64,
    pub from: Time,
    pub until: Time,
}

/// A `Locker` said that it has given a lease back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub name: String,
    pub fence: i64,
    pub at: Time,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Asked(Operation),
    Answered(i64, Answer),
    Claimed(Claim),
    Told(Told),
}

impl Operation {
    pub fn word(&self) -> Option<Word> {
        self.answer.map(|answer| answer.word)
    }

    /// The fence that the operation has acquired.
    pub fn acquired(&self) -> Option<i64> {
        let answer = self.answer.filter(|it| it.word == Word::Acquired);
        answer.map(|it| it.number)
    }

    /// Whether nobody knows what the operation has done: it may take effect at any time after it was asked, or never.
    pub fn is_open(&self) -> bool {
        matches!(self.word(), None | Some(Word::Failed | Word::Cancelled))
    }
}

/// No line that libtest prints begins like this.
const MARK: &str = "histories:";

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked(it) => {
                let (act, client) = (it.act.word(), it.client);
                let Operation {
                    id,
                    name,
                    fence,
                    asked,
                    ..
                } = it;
                write!(f, "{MARK} ask {id} {client} {act} {name} {fence} {asked}")
            }
            Self::Answered(id, it) => {
                let (at, word, number) = (it.at, it.word.word(), it.number);
                write!(f, "{MARK} answer {id} {at} {word} {number}")
            }
            Self::Claimed(it) => {
                let (name, fence, from, until) = (&it.name, it.fence, it.from, it.until);
                write!(f, "{MARK} claim {name} {fence} {from} {until}")
            }
            Self::Told(Told { name, fence, at }) => write!(f, "{MARK} told {name} {fence} {at}"),
        }
    }
}

impl Event {
    /// `None` if the line is not an event.
    pub fn read(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.strip_prefix(MARK)?.split_whitespace().collect();
        Some(match words[..] {
            ["ask", id, client, act, name, fence, asked] => Self::Asked(Operation {
                id: id.parse().ok()?,
                client: Client::read(client)?,
                act: Act::read(act)?,
                name: name.to_owned(),
                fence: fence.parse().ok()?,
                asked: asked.parse().ok()?,
                answer: None,
            }),
            ["answer", id, at, word, number] => {
                let (at, number) = (at.parse().ok()?, number.parse().ok()?);
                let word = Word::read(word)?;
                Self::Answered(id.parse().ok()?, Answer { at, word, number })
            }
            ["claim", name, fence, from, until] => Self::Claimed(Claim {
                name: name.to_owned(),
                fence: fence.parse().ok()?,
                from: from.parse().ok()?,
                until: until.parse().ok()?,
            }),
            ["told", name, fence, at] => Self::Told(Told {
                name: name.to_owned(),
                fence: fence.parse().ok()?,
                at: at.parse().ok()?,
            }),
            _ => return None,
        })
    }
}

/// This is also the owner's label in the database.
impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.process, self.kind.word(), self.number)
    }
}

impl Client {
    /// Whether both use the same `Locker`. The first async client of a process has one of its own.
    pub fn shares_locker(self, other: Self) -> bool {
        let locker = |it: Self| {
            let is_own = it.kind == Kind::ManagedAsync && it.number == 0;
            (it.process, it.kind, is_own)
        };
        self.kind.is_managed() && locker(self) == locker(other)
    }

    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        Some(Self {
            process: parts.next()?.parse().ok()?,
            kind: Kind::read(parts.next()?)?,
            number: parts.next()?.parse().ok()?,
        })
    }
}

#[test]
fn an_event_is_read_as_it_was_written() {
    let client = Client {
        process: 3,
        kind: Kind::ManagedAsync,
        number: 2,
    };
    let asked = Operation {
        id: 7,
        client,
        act: Act::Commit,
        name: "0-1".to_owned(),
        fence: 9,
        asked: 11,
        answer: None,
    };
    let answer = Answer {
        at: 12,
        word: Word::Done,
        number: 0,
    };
    let claim = Claim {
        name: "0-1".to_owned(),
        fence: 9,
        from: 11,
        until: 13,
    };
    let told = Told {
        name: "0-1".to_owned(),
        fence: 9,
        at: 14,
    };
    for event in [
        Event::Asked(asked),
        Event::Answered(7, answer),
        Event::Claimed(claim),
        Event::Told(told),
    ] {
        assert_eq!(Event::read(&event.to_string()), Some(event));
    }
}
