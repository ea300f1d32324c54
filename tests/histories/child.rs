//! A process of a history: many clients at once, on threads and on tasks. It ends when its standard input ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel_async::AsyncConnection;
use diesel_locks_tests::managed::Managed;
use diesel_locks_tests::session::Session;
use diesel_locks_tests::{ms, process, with_connection_types};
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinHandle;

use crate::client::Player;
use crate::ground::{Ground, Rule};
use crate::hand::Means;
use crate::operation::{Client, Kind};
use crate::pool::{self, Gate, Setup};
use crate::random::Random;
use crate::recorder::observer;

/// How many clients of each kind a process has.
const CLIENTS: [(Kind, u64); 4] = [
    (Kind::ManagedAsync, 48),
    (Kind::ManagedBlocking, 1),
    (Kind::AsyncStatements, 1),
    (Kind::BlockingStatements, 1),
];

/// In a control, the clients that break the rule are those with statements.
const CLIENTS_OF_CONTROL: [(Kind, u64); 3] = [
    (Kind::ManagedAsync, 1),
    (Kind::AsyncStatements, 3),
    (Kind::BlockingStatements, 2),
];

type Over = Arc<AtomicBool>;

pub fn run(ground: &Ground) {
    println!(); // libtest may have begun a line
    end_with_the_first_panic();
    let over = Over::default();
    let told = over.clone();
    process::when_input_ends(move || told.store(true, Ordering::SeqCst));
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let gate = Gate::default();
        let lockers = Lockers::new(ground, &gate);
        let closing = tokio::spawn(close_the_gate(ground.clone(), gate, over.clone()));
        let clients: &[(Kind, u64)] = match ground.rule {
            Rule::Kept => &CLIENTS,
            _ => &CLIENTS_OF_CONTROL,
        };
        let clients = clients
            .iter()
            .flat_map(|(kind, many)| (0..*many).map(|number| (*kind, number)));
        let clients: Vec<JoinHandle<()>> = clients
            .map(|(kind, number)| lockers.start(ground, kind, number, &over))
            .collect();
        for client in clients {
            client.await.expect("a client without a panic");
        }
        closing.await.expect("a task without a panic");
        lockers.tasks.close().await;
        lockers.threads.close().await;
    });
    runtime.shutdown_background();
}

/// A panic in any task or thread ends the process. Otherwise it would end that task alone, and nobody would notice.
fn end_with_the_first_panic() {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        std::process::exit(101);
    }));
}

/// The `Locker` of the async clients, and that of the blocking ones. The first async client has a `Locker` of its own, which
/// opens a connection for each use.
struct Lockers {
    tasks: Box<dyn Managed>,
    threads: Box<dyn Managed>,
}

impl Lockers {
    fn new(ground: &Ground, gate: &Gate) -> Self {
        let (engine, [tasks, threads]) = (ground.engine, &ground.urls);
        let setup = Setup::default();
        Self {
            tasks: listening(
                ground,
                tasks,
                pool::asynchronous(engine, tasks, &setup, gate).0,
            ),
            threads: listening(
                ground,
                threads,
                pool::blocking(engine, threads, &setup, gate),
            ),
        }
    }

    fn start(&self, ground: &Ground, kind: Kind, number: u64, over: &Over) -> JoinHandle<()> {
        let client = Client {
            process: ground.process,
            kind,
            number,
        };
        let (player, over) = (Player::new(ground, client), over.clone());
        match kind {
            Kind::ManagedAsync if number == 0 => {
                let locker = pool::own(ground.engine, &ground.urls[0]);
                tokio::spawn(manage(player, locker, over))
            }
            Kind::ManagedAsync => tokio::spawn(manage(player, self.tasks.another(), over)),
            Kind::AsyncStatements => tokio::spawn(state(player, over)),
            Kind::ManagedBlocking => on_thread(manage(player, self.threads.another(), over)),
            Kind::BlockingStatements => on_thread(state(player, over)),
        }
    }
}

/// Every second process is notified of releases, where the engine can do that.
fn listening(ground: &Ground, url: &str, locker: Box<dyn Managed>) -> Box<dyn Managed> {
    #[cfg(feature = "postgres")]
    if ground.engine.is_postgres() && ground.process % 2 == 1 {
        return locker.listen(url);
    }
    let _ = (ground, url);
    locker
}

fn on_thread(client: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || handle.block_on(client))
}

async fn manage(mut player: Player, locker: Box<dyn Managed>, over: Over) {
    let mut means = Means::Locker(locker.observe(observer()));
    while !over.load(Ordering::SeqCst) {
        if !player.round(&mut means).await {
            player.rest(10).await; // the same would happen again at once
        }
    }
}

/// A client with a connection of its own. After an error it opens another one.
async fn state(mut player: Player, over: Over) {
    let mut means = None;
    while !over.load(Ordering::SeqCst) {
        match &mut means {
            None => {
                means = open(&player.ground, player.client.kind)
                    .await
                    .map(Means::Connection);
                tokio::time::sleep(ms(1)).await;
            }
            Some(there) => {
                if !player.round(there).await {
                    means = None;
                }
            }
        }
    }
}

async fn open(ground: &Ground, kind: Kind) -> Option<Box<dyn Session>> {
    const LIMIT: Duration = ms(1_000);
    let [tasks, threads] = &ground.urls;
    let is_async = kind == Kind::AsyncStatements;
    macro_rules! open {
        ($blocking:ty, $asynchronous:ty) => {
            if is_async {
                let conn = <$asynchronous as AsyncConnection>::establish(tasks);
                let conn = tokio::time::timeout(LIMIT, conn).await.ok()?.ok()?;
                Box::new(conn) as Box<dyn Session>
            } else {
                let conn = <$blocking as diesel::Connection>::establish(threads).ok()?;
                Box::new(conn) as Box<dyn Session>
            }
        };
    }
    let mut conn = with_connection_types!(ground.engine, open);
    if ground.engine.is_sqlite() {
        conn.batch("PRAGMA busy_timeout = 5000").await.ok()?;
    }
    Some(conn)
}

/// From time to time, the pools of this process give no connections for a while.
async fn close_the_gate(ground: Ground, gate: Gate, over: Over) {
    let mut random = Random::of(ground.seed, ground.process);
    while !over.load(Ordering::SeqCst) {
        tokio::time::sleep(random.ms(100, 700)).await;
        gate.close(true);
        tokio::time::sleep(random.ms(1, 120)).await;
        gate.close(false);
    }
}
