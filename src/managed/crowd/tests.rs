//! The crowd with a database that the test plays.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use diesel::{Connection, ConnectionResult, SqliteConnection};

use super::{Ask, Crowd, Flight, MOST_FLIGHTS, locked};
use crate::blocking::Locker;
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::locker;
use crate::managed::pool::Pool;

/// A pool of nothing but its own type.
trait PoolOf {
    type Pool: Pool;
}

impl<P: Pool> PoolOf for locker::Locker<P> {
    type Pool = P;
}

type Open = fn() -> ConnectionResult<SqliteConnection>;
type Connections = <Locker<Open> as PoolOf>::Pool;

fn open() -> ConnectionResult<SqliteConnection> {
    SqliteConnection::establish(":memory:")
}

/// Stands for the database: notes what it is asked, and answers when it is told to.
#[derive(Default)]
struct Database {
    asked: Mutex<Vec<String>>,
    answers: Mutex<HashMap<String, Reply>>,
    told: Condvar,
}

enum Reply {
    /// An answer for each whose name does not begin with an `a`: those have to go alone.
    Each,
    Nothing,
    Closed,
    Refused,
    Broken,
}

impl Database {
    fn ask(&self, what: &str) -> Reply {
        locked(&self.asked).push(what.to_owned());
        let answers = locked(&self.answers);
        let is_open = |answers: &mut HashMap<_, _>| !answers.contains_key(what);
        let mut answers = self.told.wait_while(answers, is_open).unwrap();
        answers.remove(what).unwrap()
    }

    fn reply(&self, what: &str, reply: Reply) {
        locked(&self.answers).insert(what.to_owned(), reply);
        self.told.notify_all();
    }

    fn asked(&self) -> Vec<String> {
        locked(&self.asked).clone()
    }

    /// Waits until so many questions were asked, and then this one.
    fn asks(&self, after: usize, what: &str) {
        become_true(|| self.asked().len() > after);
        assert_eq!(self.asked()[after], what);
    }
}

struct Question {
    lock: Lock,
    within: Duration,
    database: Arc<Database>,
}

impl Ask for Question {
    type Pool = Connections;
    type Answer = String;
    const ENDS_WITH_CALLER: bool = true;

    fn pool(&self) -> Connections {
        Locker::new(open as Open).pool
    }

    fn lock(&self) -> &Lock {
        &self.lock
    }

    fn within(&self) -> Duration {
        self.within
    }

    /// Names in different groups do not go together.
    fn goes_with(&self, other: &Self) -> bool {
        self.lock.group() == other.lock.group()
    }

    async fn alone(self, _: Duration, flight: Option<Flight<Self>>) -> Result<String> {
        self.database.ask(self.lock.key());
        drop(flight);
        Ok(format!("alone {}", self.lock.key()))
    }

    async fn together(
        _: &mut <Connections as Pool>::Executor,
        asks: &[&Self],
    ) -> Result<Vec<Option<Result<String>>>> {
        let names: Vec<&str> = asks.iter().map(|it| it.lock.key()).collect();
        match asks[0].database.ask(&names.join(" ")) {
            Reply::Closed => Err(Error::Closed),
            Reply::Refused => Err(Error::Database(diesel::result::Error::NotFound)),
            Reply::Broken => Err(Error::BrokenConnection),
            Reply::Nothing => Ok(names.iter().map(|_| None).collect()),
            Reply::Each => Ok(names
                .into_iter()
                .map(|name| Some(Ok(name.to_owned())).filter(|_| !name.starts_with('a')))
                .collect()),
        }
    }

    fn answered(self, answer: Result<String>) -> Result<String> {
        answer
    }

    fn undo(asks: &[&Self]) {
        let names: Vec<&str> = asks.iter().map(|it| it.lock.key()).collect();
        asks[0].database.ask(&format!("undo {}", names.join(" ")));
    }

    fn anew(self) -> Result<Self> {
        Ok(self)
    }
}

type Asked = JoinHandle<Result<String>>;

struct Place {
    crowd: Arc<Crowd<Question>>,
    database: Arc<Database>,
}

impl Place {
    fn new() -> Self {
        Self::with_patience(Duration::from_secs(60))
    }

    fn with_patience(patience: Duration) -> Self {
        let crowd = Crowd {
            patience,
            ..Crowd::default()
        };
        Self {
            crowd: Arc::new(crowd),
            database: Arc::default(),
        }
    }

    /// As many flights as there may be. None of them ends before the database answers.
    fn full(self) -> (Self, Vec<Asked>) {
        let place = self;
        let flights = (0..MOST_FLIGHTS).map(|number| place.ask(&format!("f{number}")));
        let flights = flights.collect();
        become_true(|| place.database.asked().len() == MOST_FLIGHTS);
        (place, flights)
    }

    /// The first flight has ended, and these go together in the next one.
    fn crowd(names: &[&str]) -> (Self, Vec<Asked>, Vec<Asked>) {
        let (place, flights) = Self::new().full();
        let crowd = place.sit(names);
        place.land(0..1);
        place.database.asks(MOST_FLIGHTS, &names.join(" "));
        (place, flights, crowd)
    }

    /// Ends all flights but the first, which has ended.
    fn close(self, flights: Vec<Asked>) {
        self.land(1..MOST_FLIGHTS);
        texts(flights);
        assert_eq!(locked(&self.crowd.state).flights, 0);
    }

    fn ask(&self, name: &str) -> Asked {
        self.ask_within(name, Duration::from_secs(60))
    }

    fn ask_within(&self, name: &str, within: Duration) -> Asked {
        let crowd = self.crowd.clone();
        let question = Question {
            lock: Lock::from_key(name).unwrap(),
            within,
            database: self.database.clone(),
        };
        spawn(move || crate::blocking::ready(crowd.ask(question)))
    }

    /// As if no flight had begun for a long time. Whoever has just taken a seat may notice first.
    fn lose_patience(&self) {
        let epoch = locked(&self.crowd.state).epoch;
        locked(&self.crowd.state).last_began = Moment::default();
        self.crowd.patience();
        assert!(locked(&self.crowd.state).epoch > epoch);
    }

    /// Ends these flights of one caller each.
    fn land(&self, numbers: Range<usize>) {
        for number in numbers {
            self.database.reply(&format!("f{number}"), Reply::Each);
        }
    }

    /// Takes seats, in this order.
    fn sit(&self, names: &[&str]) -> Vec<Asked> {
        let sit = |name: &&str| {
            let seats = locked(&self.crowd.state).waiting.len();
            let asked = self.ask(name);
            become_true(|| locked(&self.crowd.state).waiting.len() > seats);
            asked
        };
        names.iter().map(sit).collect()
    }
}

fn answers(asked: Vec<Asked>) -> Vec<Result<String>> {
    let answers = asked.into_iter().map(|asked| asked.join().unwrap());
    answers.collect()
}

fn texts(asked: Vec<Asked>) -> Vec<String> {
    answers(asked).into_iter().map(Result::unwrap).collect()
}

fn become_true(question: impl Fn() -> bool) {
    let began = Instant::now();
    while !question() {
        assert!(began.elapsed() < Duration::from_secs(30));
        std::thread::yield_now();
    }
}

#[test]
fn a_few_go_alone() {
    let (place, flights) = Place::new().full();
    place.land(0..MOST_FLIGHTS);
    assert!(texts(flights).iter().all(|it| it.starts_with("alone ")));
    let next = place.ask("x");
    place.database.reply("x", Reply::Each);
    assert_eq!(texts(vec![next]), ["alone x"]);
    assert_eq!(locked(&place.crowd.state).flights, 0);
}

#[test]
fn those_who_wait_go_together_when_a_flight_ends() {
    let (place, flights, waiting) = Place::crowd(&["b", "a1", "c"]);
    place.database.reply("b a1 c", Reply::Each);
    place.database.asks(MOST_FLIGHTS + 1, "a1");
    place.database.reply("a1", Reply::Each);
    assert_eq!(texts(waiting), ["b", "alone a1", "c"]);
    place.close(flights);
}

#[test]
fn two_with_one_name_go_one_after_the_other() {
    let (place, flights) = Place::new().full();
    let waiting = place.sit(&["b", "b", "c"]);
    place.land(0..1);
    place.database.asks(MOST_FLIGHTS, "b c");
    place.database.reply("b c", Reply::Each);
    place.database.asks(MOST_FLIGHTS + 1, "b");
    place.database.reply("b", Reply::Each);
    assert_eq!(texts(waiting), ["b", "b", "c"]);
    place.close(flights);
}

/// There is one flight at a time as long as somebody waits.
#[test]
fn a_crowd_has_one_flight_at_a_time() {
    let (place, flights, crowd) = Place::crowd(&["b", "c", "d", "e"]);
    let next = place.sit(&["g"]);
    place.land(1..MOST_FLIGHTS);
    texts(flights);
    assert_eq!(place.database.asked().len(), MOST_FLIGHTS + 1);
    assert_eq!(locked(&place.crowd.state).flights, 1);
    place.database.reply("b c d e", Reply::Each);
    assert_eq!(texts(crowd), ["b", "c", "d", "e"]);
    place.database.asks(MOST_FLIGHTS + 1, "g");
    place.database.reply("g", Reply::Each);
    assert_eq!(texts(next), ["g"]);
    assert!(!locked(&place.crowd.state).is_crowded);
}

/// Those who cannot go together have several flights at a time, also after a crowd.
#[test]
fn a_hot_name_does_not_make_a_crowd() {
    let (place, flights, crowd) = Place::crowd(&["b", "c", "d", "e"]);
    let hot = place.sit(&["x", "x", "x"]);
    place.land(1..MOST_FLIGHTS);
    texts(flights);
    place.database.reply("b c d e", Reply::Each);
    texts(crowd);
    become_true(|| locked(&place.crowd.state).flights == 3);
    for _ in 0..3 {
        become_true(|| locked(&place.database.answers).is_empty());
        place.database.reply("x", Reply::Each);
    }
    assert_eq!(texts(hot), ["x", "x", "x"]);
}

#[test]
fn if_the_database_did_nothing_each_goes_alone() {
    for reply in [Reply::Closed, Reply::Nothing] {
        let (place, flights, waiting) = Place::crowd(&["b", "c"]);
        place.database.reply("b", Reply::Each);
        place.database.reply("c", Reply::Each);
        place.database.reply("b c", reply);
        assert_eq!(texts(waiting), ["alone b", "alone c"]);
        place.close(flights);
    }
}

#[test]
fn if_nobody_knows_what_the_database_did_each_is_told() {
    let (place, flights, waiting) = Place::crowd(&["b", "c"]);
    place.database.reply("undo b c", Reply::Nothing);
    place.database.reply("b c", Reply::Broken);
    for answer in answers(waiting) {
        assert!(matches!(answer, Err(Error::BrokenConnection)), "{answer:?}");
    }
    assert_eq!(place.database.asked()[MOST_FLIGHTS + 1], "undo b c");
    place.close(flights);
}

/// The database may have refused the statement because of one of them.
#[test]
fn if_the_database_refuses_the_statement_each_goes_alone() {
    let (place, flights, waiting) = Place::crowd(&["b", "c"]);
    place.database.reply("undo b c", Reply::Nothing);
    place.database.reply("b", Reply::Each);
    place.database.reply("c", Reply::Each);
    place.database.reply("b c", Reply::Refused);
    assert_eq!(texts(waiting), ["alone b", "alone c"]);
    assert_eq!(place.database.asked()[MOST_FLIGHTS + 1], "undo b c");
    place.close(flights);
}

/// Those who cannot go together do not wait for each other.
#[test]
fn when_patience_ends_everybody_takes_off() {
    let (place, flights) = Place::new().full();
    let waiting = place.sit(&["b", "other|c", "third|d"]);
    place.lose_patience();
    for name in ["b", "other|c", "third|d"] {
        place.database.reply(name, Reply::Each);
    }
    assert_eq!(texts(waiting), ["b", "other|c", "third|d"]);
    place.land(0..MOST_FLIGHTS);
    texts(flights);
    assert_eq!(locked(&place.crowd.state).flights, 0);
}

#[test]
fn flights_that_do_not_land_in_time_count_no_more() {
    let (place, flights) = Place::with_patience(Duration::ZERO).full();
    let waiting = place.ask("b");
    place.database.asks(MOST_FLIGHTS, "b");
    place.database.reply("b", Reply::Each);
    assert_eq!(texts(vec![waiting]), ["b"]);
    place.land(0..MOST_FLIGHTS);
    texts(flights);
    assert_eq!(locked(&place.crowd.state).flights, 0);
}

/// In a crowd, one flight that hangs keeps the others on the ground, until somebody's patience ends.
#[test]
fn one_flight_that_hangs_holds_up_a_crowd_only_once() {
    let (place, flights) = Place::new().full();
    let crowd = place.sit(&["b", "c", "d", "e"]);
    place.land(1..2);
    place.database.asks(MOST_FLIGHTS, "b c d e");
    let next = place.sit(&["g", "h"]);
    place.land(2..MOST_FLIGHTS);
    place.database.reply("b c d e", Reply::Each);
    assert_eq!(texts(crowd), ["b", "c", "d", "e"]);
    assert_eq!(place.database.asked().len(), MOST_FLIGHTS + 1);

    place.lose_patience();
    place.database.asks(MOST_FLIGHTS + 1, "g h");
    place.database.reply("g h", Reply::Each);
    assert_eq!(texts(next), ["g", "h"]);
    let alone = place.ask("i");
    place.database.reply("i", Reply::Each);
    assert_eq!(texts(vec![alone]), ["alone i"]);
    place.land(0..1);
    texts(flights);
    assert_eq!(locked(&place.crowd.state).flights, 0);
}

/// A request that leaves its seat is dropped at once, and not with the end of a flight.
#[test]
fn who_gives_up_takes_the_request_along() {
    let (place, flights) = Place::new().full();
    let gave_up = place.ask_within("b", Duration::ZERO).join().unwrap();
    assert!(
        matches!(gave_up, Err(Error::NoConnection { .. })),
        "{gave_up:?}"
    );
    assert!(locked(&place.crowd.state).waiting.is_empty());
    place.land(0..MOST_FLIGHTS);
    texts(flights);
}
