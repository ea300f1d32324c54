//! Useless connections, in a pool that does not check its connections.

use std::time::Instant;

use diesel_locks::Wait;

use crate::client::{Setup, Told};
use crate::place::{Place, ms, side_by_side, within};
use crate::proxy::Close;

/// No reply comes on the old connections any more, not even their end, although the database is back. A firewall that
/// has forgotten a connection has this effect. A thread that waits for an answer cannot be stopped, so this is about
/// tasks.
pub fn connections_that_hang_are_not_used_again(place: &Place) {
    if place.engine.is_sqlite() {
        return;
    }
    let works = [false, true].map(|gives_up| {
        let name = format!("gives up: {gives_up}");
        (name, move || hang(place, gives_up))
    });
    side_by_side(works.into_iter());
}

/// The only connection hangs for the keeper, or for a caller that gives up.
fn hang(place: &Place, gives_up: bool) {
    // A pool that checks its connections would find them itself, and hide the behaviour of the locks.
    let setup = Setup {
        pool_size: 1,
        checks: false,
        ..Setup::default()
    };
    let (proxy, client) = place.line(&setup);
    let proxy = proxy.expect("a network");
    let lock = place.lock(&format!("one {gives_up}"), ms(4_000));
    let other = place.lock(&format!("two {gives_up}"), ms(60_000));
    let guard = client.acquire(&lock, Wait::never()).expect("the lock");
    proxy.hang();
    if gives_up {
        let answer = client.acquire_within(ms(300), &other, Wait::never());
        assert!(answer.is_none());
    }
    assert!(guard.lost_within(ms(10_000)));
    assert!(proxy.swallowed() > 0);
    proxy.come_back_in_silence();
    drop(guard);

    let back = Instant::now();
    within(ms(15_000), "the pool works", || client.ask().is_ok());
    let told = || client.log().print(back);
    let guard = client.acquire(&lock, Wait::up_to(ms(20_000)));
    let guard = guard.unwrap_or_else(|error| panic!("{error}: {}", told()));
    let renewed = |told: &Told| *told == Told::Renewed;
    within(ms(10_000), "kept alive", || {
        client.log().tells(back, renewed)
    });
    assert!(guard.is_valid());
    client.close();
}

/// The pool must learn from the locks that a connection is broken.
pub fn connections_that_broke_are_not_used_again(place: &Place) {
    if place.engine.is_sqlite() {
        return;
    }
    let setup = Setup {
        pool_size: 1,
        checks: false,
        ..Setup::default()
    };
    let (proxy, client) = place.line(&setup);
    let proxy = proxy.expect("a network");
    let lock = place.lock("broken", ms(60_000));
    let guard = client.acquire(&lock, Wait::never()).expect("the lock");
    proxy.cut(Close::WithReset);
    proxy.come_back(Close::Gently);
    let mut errors = Vec::new();
    within(ms(15_000), "the pool works after a failure or two", || {
        let answer = guard.try_extend();
        errors.extend(answer.as_ref().err().map(ToString::to_string));
        answer.is_ok()
    });
    assert!(errors.len() <= 2, "{errors:?}");
    client.close();
}
