//! The crowd with a database that the test plays.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use diesel::{Connection, ConnectionResult, SqliteConnection};

use super::{Ask, Crowd, Flight, locked};
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

/// How many flights there may be, and how many passengers share one.
const CROWD: usize = 3;

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
    const CROWD: usize = CROWD;

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
        let flights = (0..CROWD).map(|number| place.ask(&format!("f{number}")));
        let flights = flights.collect();
        become_true(|| place.database.asked().len() == CROWD);
        (place, flights)
    }

    /// The first flight has ended, and these go together in the next one.
    fn crowd(names: &[&str]) -> (Self, Vec<Asked>, Vec<Asked>) {
        let (place, flights) = Self::new().full();
        let crowd = place.sit(names);
        place.land(0..1);
        place.database.asks(CROWD, &names.join(" "));
        (place, flights, crowd)
    }

    /// Ends all flights but the first, which has ended.
    fn close(self, flights: Vec<Asked>) {
        self.land(1..CROWD);
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
    place.land(0..CROWD);
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
    place.database.asks(CROWD + 1, "a1");
    place.database.reply("a1", Reply::Each);
    assert_eq!(texts(waiting), ["b", "alone a1", "c"]);
    place.close(flights);
}

#[test]
fn two_with_one_name_go_one_after_the_other() {
    let (place, flights) = Place::new().full();
    let waiting = place.sit(&["b", "b", "c", "d"]);
    place.land(0..1);
    place.database.asks(CROWD, "b c d");
    place.database.reply("b c d", Reply::Each);
    place.database.asks(CROWD + 1, "b");
    place.database.reply("b", Reply::Each);
    assert_eq!(texts(waiting), ["b", "alone b", "c", "d"]);
    place.close(flights);
}

/// There is one flight at a time as long as somebody waits.
#[test]
fn a_crowd_has_one_flight_at_a_time() {
    let (place, flights, crowd) = Place::crowd(&["b", "c", "d", "e"]);
    let next = place.sit(&["g"]);
    place.land(1..CROWD);
    texts(flights);
    assert_eq!(place.database.asked().len(), CROWD + 1);
    assert_eq!(locked(&place.crowd.state).flights, 1);
    place.database.reply("b c d e", Reply::Each);
    assert_eq!(texts(crowd), ["b", "c", "d", "e"]);
    place.database.asks(CROWD + 1, "g");
    assert!(!locked(&place.crowd.state).is_crowded);
    place.database.reply("g", Reply::Each);
    assert_eq!(texts(next), ["alone g"]);
}

/// Those who cannot go together have several flights at a time, also after a crowd.
#[test]
fn a_hot_name_does_not_make_a_crowd() {
    let (place, flights, crowd) = Place::crowd(&["b", "c", "d", "e"]);
    let hot = place.sit(&["x", "x", "x"]);
    place.land(1..CROWD);
    texts(flights);
    place.database.reply("b c d e", Reply::Each);
    texts(crowd);
    become_true(|| locked(&place.crowd.state).flights == 3);
    for _ in 0..3 {
        become_true(|| locked(&place.database.answers).is_empty());
        place.database.reply("x", Reply::Each);
    }
    assert_eq!(texts(hot), ["alone x", "alone x", "alone x"]);
}

#[test]
fn if_the_database_did_nothing_each_goes_alone() {
    for reply in [Reply::Closed, Reply::Nothing] {
        let (place, flights, waiting) = Place::crowd(&["b", "c", "d"]);
        place.database.reply("b", Reply::Each);
        place.database.reply("c", Reply::Each);
        place.database.reply("d", Reply::Each);
        place.database.reply("b c d", reply);
        assert_eq!(texts(waiting), ["alone b", "alone c", "alone d"]);
        place.close(flights);
    }
}

#[test]
fn if_nobody_knows_what_the_database_did_each_is_told() {
    let (place, flights, waiting) = Place::crowd(&["b", "c", "d"]);
    place.database.reply("undo b c d", Reply::Nothing);
    place.database.reply("b c d", Reply::Broken);
    for answer in answers(waiting) {
        assert!(matches!(answer, Err(Error::BrokenConnection)), "{answer:?}");
    }
    assert_eq!(place.database.asked()[CROWD + 1], "undo b c d");
    place.close(flights);
}

/// The database may have refused the statement because of one of them.
#[test]
fn if_the_database_refuses_the_statement_each_goes_alone() {
    let (place, flights, waiting) = Place::crowd(&["b", "c", "d"]);
    place.database.reply("undo b c d", Reply::Nothing);
    place.database.reply("b", Reply::Each);
    place.database.reply("c", Reply::Each);
    place.database.reply("d", Reply::Each);
    place.database.reply("b c d", Reply::Refused);
    assert_eq!(texts(waiting), ["alone b", "alone c", "alone d"]);
    assert_eq!(place.database.asked()[CROWD + 1], "undo b c d");
    place.close(flights);
}

#[test]
fn fewer_than_a_crowd_go_alone_one_for_each_flight_that_ends() {
    let (place, flights) = Place::new().full();
    let waiting = place.sit(&["b", "c"]);
    for (number, name) in (0..).zip(["b", "c"]) {
        place.land(number..number + 1);
        place.database.asks(CROWD + number, name);
    }
    for name in ["b", "c"] {
        place.database.reply(name, Reply::Each);
    }
    assert_eq!(texts(waiting), ["alone b", "alone c"]);
    place.land(2..CROWD);
    texts(flights);
    assert_eq!(locked(&place.crowd.state).flights, 0);
}

/// The first who waits goes, whether or not others could share a statement.
#[test]
fn nobody_is_overtaken_by_a_crowd_of_another_kind() {
    let (place, flights) = Place::new().full();
    let waiting = place.sit(&["b", "other|c", "other|d", "other|e"]);
    place.land(0..1);
    place.database.asks(CROWD, "b");
    place.land(1..2);
    place.database.asks(CROWD + 1, "other|c other|d other|e");
    place.database.reply("b", Reply::Each);
    place.database.reply("other|c other|d other|e", Reply::Each);
    assert_eq!(texts(waiting), ["alone b", "other|c", "other|d", "other|e"]);
    place.land(2..CROWD);
    texts(flights);
}

#[test]
fn who_cannot_go_with_a_crowd_does_not_wait_for_it() {
    let (place, flights) = Place::new().full();
    let waiting = place.sit(&["b", "other|x", "c", "d"]);
    place.land(0..1);
    place.database.asks(CROWD, "b c d");
    place.land(1..2);
    place.database.asks(CROWD + 1, "other|x");
    place.database.reply("other|x", Reply::Each);
    place.database.reply("b c d", Reply::Each);
    assert_eq!(texts(waiting), ["b", "alone other|x", "c", "d"]);
    place.land(2..CROWD);
    texts(flights);
}

/// One who goes alone may be slow: the crowd that comes afterwards does not wait for that flight.
#[test]
fn one_who_goes_alone_keeps_no_crowd_waiting() {
    let (place, flights, crowd) = Place::crowd(&["b", "c", "d"]);
    let alone = place.sit(&["x"]);
    place.land(1..CROWD);
    texts(flights);
    place.database.reply("b c d", Reply::Each);
    assert_eq!(texts(crowd), ["b", "c", "d"]);
    place.database.asks(CROWD + 1, "x");
    let next = place.ask("y");
    place.database.reply("y", Reply::Each);
    assert_eq!(texts(vec![next]), ["alone y"]);
    place.database.reply("x", Reply::Each);
    assert_eq!(texts(alone), ["alone x"]);
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
    assert_eq!(
        texts(waiting),
        ["alone b", "alone other|c", "alone third|d"]
    );
    place.land(0..CROWD);
    texts(flights);
    assert_eq!(locked(&place.crowd.state).flights, 0);
}

#[test]
fn flights_that_do_not_land_in_time_count_no_more() {
    let (place, flights) = Place::with_patience(Duration::ZERO).full();
    let waiting = place.ask("b");
    place.database.asks(CROWD, "b");
    place.database.reply("b", Reply::Each);
    assert_eq!(texts(vec![waiting]), ["alone b"]);
    place.land(0..CROWD);
    texts(flights);
    assert_eq!(locked(&place.crowd.state).flights, 0);
}

/// One who went alone may wait for a row.
#[test]
fn a_crowd_does_not_wait_for_the_flights_before_it() {
    let (place, flights) = Place::new().full();
    let crowd = place.sit(&["b", "c", "d", "e"]);
    place.land(1..2);
    place.database.asks(CROWD, "b c d e");
    let next = place.sit(&["g", "h", "j"]);
    place.database.reply("b c d e", Reply::Each);
    assert_eq!(texts(crowd), ["b", "c", "d", "e"]);
    place.database.asks(CROWD + 1, "g h j");
    place.database.reply("g h j", Reply::Each);
    assert_eq!(texts(next), ["g", "h", "j"]);
    place.land(0..1);
    place.land(2..CROWD);
    texts(flights);
    assert_eq!(locked(&place.crowd.state).flights, 0);
}

/// A crowd's flight that hangs keeps the others on the ground, until somebody's patience ends.
#[test]
fn a_crowd_that_hangs_holds_up_the_others_only_once() {
    let (place, flights, crowd) = Place::crowd(&["b", "c", "d"]);
    let next = place.sit(&["g", "h", "j"]);
    place.land(1..CROWD);
    texts(flights);
    assert_eq!(place.database.asked().len(), CROWD + 1);

    place.lose_patience();
    place.database.asks(CROWD + 1, "g h j");
    place.database.reply("g h j", Reply::Each);
    assert_eq!(texts(next), ["g", "h", "j"]);
    let alone = place.ask("i");
    place.database.reply("i", Reply::Each);
    assert_eq!(texts(vec![alone]), ["alone i"]);
    place.database.reply("b c d", Reply::Each);
    assert_eq!(texts(crowd), ["b", "c", "d"]);
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
    place.land(0..CROWD);
    texts(flights);
}
