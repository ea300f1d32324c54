//! The game: an engine and the model get the same operations, and must give the same answers.

use std::time::Duration;

use diesel_locks::{Attempt, Forced, Lease, Lock, Pin, Record, Released};

use super::{Dice, Model, Row, Seed};
use crate::session::Session;
use crate::world::{World, eventually, secs};

const STEPS: u32 = 150;
/// Longer than a sequence takes, and shorter than any step of the model's time.
const SLACK: u64 = 30;

/// One sequence: two connections to the same lock, the model, and every lease so far with the number of its token.
struct Game<'w> {
    world: &'w World,
    conns: [Box<dyn Session>; 2],
    at: usize,
    lock: Lock,
    model: Model,
    /// The model at the start of each open transaction or savepoint.
    begun: Vec<Model>,
    leases: Vec<(Lease, usize)>,
    dice: Dice,
    played: Vec<String>,
}

pub async fn play(world: &World, conns: [Box<dyn Session>; 2]) {
    let seed = Seed::new();
    let mut game = Game {
        world,
        conns,
        at: 0,
        lock: world.lock("x"),
        model: Model::default(),
        begun: Vec::new(),
        leases: Vec::new(),
        dice: Dice(seed.0),
        played: Vec::new(),
    };
    for _ in 0..STEPS {
        game.step().await;
        game.compare().await;
    }
    while !game.begun.is_empty() {
        game.commit().await;
    }
    game.at = 1;
    game.compare().await;
}

impl Game<'_> {
    async fn step(&mut self) {
        if self.begun.is_empty() {
            self.at = self.dice.below(2);
        }
        match self.dice.below(16) {
            0..=3 => self.try_acquire().await,
            4 if self.begun.len() < 3 => self.begin().await,
            5 if !self.begun.is_empty() => self.commit().await,
            6 if !self.begun.is_empty() => self.rollback().await,
            7 | 8 => self.let_time_pass().await,
            9 => self.force_release().await,
            10 => self.purge().await,
            _ if self.leases.is_empty() => self.try_acquire().await,
            _ => self.use_a_lease().await,
        }
    }

    fn conn(&mut self) -> &mut dyn Session {
        &mut *self.conns[self.at]
    }

    #[track_caller]
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, engine: &T, model: &T) {
        let model_says = format!("{model:?}");
        self.played.push(format!("{what}: {engine:?}"));
        assert_eq!(
            engine, model,
            "the model says {model_says} after {:#?}",
            self.played
        );
    }

    async fn compare(&mut self) {
        let lock = self.lock.clone();
        let record = self.conn().inspect(&lock).await.unwrap();
        let now = self.model.now;
        let left = |record: &Record| record.time_left;
        let (engine, model) = (record.as_ref().and_then(left), self.model.held());
        let model = model.map(|row| secs(row.ends - now));
        let near = match (engine, model) {
            (Some(engine), Some(model)) => engine <= model && engine + secs(SLACK) > model,
            (engine, model) => engine == model,
        };
        self.same(&format!("near {engine:?} {model:?}"), &near, &true);
        let engine = record.map(|record| (record.owner, record.fence, record.data));
        let model = self
            .model
            .row
            .clone()
            .map(|row| (row.owner, row.fence, row.data));
        self.same("row", &engine, &model);
    }

    /// Tries with one of three tokens of its own, or with a random token.
    async fn try_acquire(&mut self) {
        let own = self.dice.below(6);
        let (ttl, owner) = (
            [90, 270][self.dice.below(2)],
            format!("{}", self.dice.below(3)),
        );
        let data = [None, Some("a"), Some("b")][self.dice.below(3)].map(str::to_owned);
        let mut lock = self
            .lock
            .clone()
            .with_ttl(secs(ttl))
            .unwrap()
            .with_owner(&owner)
            .unwrap();
        let token = if own < 3 { own } else { 3 + self.leases.len() };
        if own < 3 {
            lock = lock.with_token(format!("token{own}")).unwrap();
        }
        if let Some(data) = &data {
            lock = lock.with_data(data).unwrap();
        }
        let attempt = self.conn().try_acquire(&lock).await.unwrap();
        let ends = self.model.now + ttl;
        let again = self
            .model
            .row
            .as_mut()
            .filter(|row| row.token == Some(token));
        if let Some(row) = again {
            row.ends = row.ends.max(ends);
            row.data = data.or(row.data.take());
            let fence = row.fence;
            let lease = self.won(attempt, "again");
            self.same("fence", &lease.fence(), &fence);
            self.leases.push((lease, token));
        } else if let Some(row) = self.model.held() {
            let expected = (row.owner.clone(), row.fence, row.data.clone());
            let Attempt::Busy(Some(holder)) = attempt else {
                panic!("{attempt:?} after {:#?}", self.played);
            };
            let told = (holder.owner, holder.fence, holder.data);
            self.same("busy", &told, &expected);
        } else {
            let lease = self.won(attempt, "acquire");
            let before = self.model.row.take();
            self.same("growing", &(lease.fence() > self.model.last_fence), &true);
            self.model.last_fence = lease.fence();
            self.model.row = Some(Row {
                token: Some(token),
                fence: lease.fence(),
                ends,
                owner,
                data: data.or(before.and_then(|row| row.data)),
            });
            self.leases.push((lease, token));
        }
    }

    fn won(&mut self, attempt: Attempt, what: &str) -> Lease {
        self.played.push(format!("{what}: {attempt:?}"));
        attempt
            .acquired()
            .unwrap_or_else(|| panic!("not won after {:#?}", self.played))
    }

    /// Uses a lease, most often one of the last.
    async fn use_a_lease(&mut self) {
        let back = self.dice.below(4).min(self.dice.below(self.leases.len()));
        let number = self.leases.len() - 1 - back;
        let (mut lease, token) = self.leases[number].clone();
        let (id, ttl) = ((token, lease.fence()), lease_ttl(&mut self.dice));
        let (conn, model) = (&mut *self.conns[self.at], &mut self.model);
        let (engine, model) = match self.dice.below(6) {
            0 => (
                conn.try_extend_to(&mut lease, secs(ttl))
                    .await
                    .map(Into::into),
                model.change(id, |row, now| row.ends = row.ends.max(now + ttl)),
            ),
            1 => (
                conn.try_extend_by(&mut lease, secs(ttl))
                    .await
                    .map(Into::into),
                model.change(id, |row, now| row.ends = row.ends.max(now) + ttl),
            ),
            2 => (
                conn.try_set_data(&lease, None).await.map(Into::into),
                model.change(id, |row, _| row.data = None),
            ),
            3 => (
                conn.try_set_data(&lease, Some("c")).await.map(Into::into),
                model.change(id, |row, _| row.data = Some("c".to_owned())),
            ),
            4 => (conn.release(&lease).await, model.change(id, Model::free)),
            _ => {
                let (engine, model) = (conn.try_pin(&lease).await.unwrap(), model.pin(id));
                let mine = conn.is_mine(&lease).await.unwrap();
                self.same("mine", &mine, &(model == Pin::Pinned));
                return self.same(&format!("pin {number}"), &engine, &model);
            }
        };
        let model = Released::from(model);
        self.same(&format!("use {number}"), &engine.unwrap(), &model);
        self.leases[number].0 = lease;
    }

    async fn begin(&mut self) {
        self.conn().begin().await.unwrap();
        self.begun.push(self.model.clone());
        self.played.push("begin".to_owned());
    }

    async fn commit(&mut self) {
        self.conn().commit().await.unwrap();
        self.begun.pop();
        self.played.push("commit".to_owned());
    }

    async fn rollback(&mut self) {
        self.conn().rollback().await.unwrap();
        self.model = self.begun.pop().expect("a transaction");
        self.played.push("rollback".to_owned());
    }

    /// Lets 40 seconds or more pass, but never to a time that is close to the end of the lease.
    async fn let_time_pass(&mut self) {
        let Some(row) = &self.model.row else { return };
        let mut by = 40 + 20 * self.dice.below(6) as u64;
        while row.ends.abs_diff(self.model.now + by) <= SLACK {
            by += SLACK;
        }
        self.model.now += by;
        let by: Duration = secs(by);
        self.played.push(format!("{by:?} pass"));
        self.world
            .age(&mut *self.conns[self.at], &self.lock, by)
            .await;
    }

    async fn force_release(&mut self) {
        let lock = self.lock.clone();
        let engine = self.conn().force_release(&lock).await.unwrap();
        let now = self.model.now;
        let model = match self.model.row.as_mut().filter(|row| row.token.is_some()) {
            Some(row) => {
                Model::free(row, now);
                Forced::Released
            }
            None => Forced::Free,
        };
        self.same("force", &engine, &model);
    }

    async fn purge(&mut self) {
        let (conn, list) = (&mut *self.conns[self.at], self.world.list());
        if self.model.row.is_some() && self.model.held().is_none() {
            self.model.row = None;
            self.played.push("purge".to_owned());
            eventually("purged", async || {
                conn.purge(&list, secs(0)).await.unwrap() == 1
            })
            .await;
        } else {
            let purged = conn.purge(&list, secs(0)).await.unwrap();
            self.same("purge", &purged, &0);
        }
    }
}

fn lease_ttl(dice: &mut Dice) -> u64 {
    [90, 150, 270][dice.below(3)]
}
