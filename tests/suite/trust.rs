//! The time for which a holder may rely on its lease without asking. Replies are made late on purpose.

use diesel::connection::InstrumentationEvent;
use diesel_locks::{Error, Forced, Lease, Outcome, Wait};
use std::time::Duration;

use crate::session::Session;
use crate::world::{World, ms, secs};

/// Delays the next replies by this time.
fn delay(conn: &mut dyn Session, mut replies: u32, by: Duration) {
    conn.instrument(Box::new(move |event: InstrumentationEvent<'_>| {
        if matches!(event, InstrumentationEvent::FinishQuery { .. }) && replies > 0 {
            replies -= 1;
            std::thread::sleep(by);
        }
    }));
}

pub async fn trust_counts_from_before_the_request(world: &World) {
    let mut conn = world.session().await;
    let lock = world.lock("x").with_ttl(secs(40)).unwrap();
    delay(&mut *conn, u32::MAX, ms(100));
    let mut lease = conn.take(&lock).await;
    assert!(lease.trusted_for() + ms(100) <= secs(39));
    assert!(lease.trusted_for() > secs(20));
    assert!(lease.trusted_for() < conn.time_left(&lock).await.unwrap());

    assert_eq!(
        conn.try_extend_to(&mut lease, secs(60)).await.unwrap(),
        Outcome::Done
    );
    assert!(lease.trusted_for() + ms(100) <= secs(59));
    assert!(lease.trusted_for() > secs(50));
    let before = lease.trusted_for();
    assert_eq!(
        conn.try_extend_by(&mut lease, secs(60)).await.unwrap(),
        Outcome::Done
    );
    assert!(lease.trusted_for() + ms(100) <= before + secs(60));
    assert!(lease.trusted_for() > secs(100));

    let mut handed: Lease = lease.to_text().parse().unwrap();
    assert_eq!(
        conn.try_extend_by(&mut handed, secs(60)).await.unwrap(),
        Outcome::Done
    );
    assert!(handed.trusted_for() + ms(100) <= secs(59));
    assert!(handed.trusted_for() > secs(50));
}

pub async fn a_reply_that_comes_after_the_ttl_is_no_acquisition(world: &World) {
    let (mut conn, mut other) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    let lease = conn.take(&lock).await;
    conn.release(&lease).await.unwrap();

    delay(&mut *conn, u32::MAX, ms(120));
    let late = conn
        .try_acquire(&lock.clone().with_ttl(ms(100)).unwrap())
        .await
        .unwrap_err();
    assert!(late.is_transient(), "{late}");
    let Error::TooLate { key, took, ttl, .. } = late else {
        panic!("{late}")
    };
    assert_eq!((&*key, ttl), (lock.key(), ms(100)));
    assert!(took >= ms(120));
    assert!(other.row(&lock).await.fence > lease.fence(), "it was won");
    assert_eq!(other.force_release(&lock).await.unwrap(), Forced::Free);
}

/// Another process may rely on an acquisition with an agreed token.
pub async fn with_an_agreed_token_an_acquisition_is_not_given_back(world: &World) {
    let (mut conn, mut other) = (world.session().await, world.session().await);
    let lock = world.lock("x").with_token("agreed").unwrap();
    delay(&mut *conn, u32::MAX, ms(120));
    let late = conn
        .try_acquire(&lock.clone().with_ttl(ms(100)).unwrap())
        .await
        .unwrap_err();
    assert!(matches!(late, Error::TooLate { .. }), "{late}");
    let fence = other.row(&lock).await.fence;
    assert_eq!(other.take(&lock).await.fence(), fence);
}

pub async fn a_waiter_tries_again_after_a_late_reply(world: &World) {
    let mut conn = world.session().await;
    let lock = world.lock("x").with_ttl(secs(3)).unwrap();
    delay(&mut *conn, 1, secs(3));
    let attempt = conn
        .acquire(&lock, Wait::attempts(2).every(ms(1)))
        .await
        .unwrap();
    let lease = attempt.acquired().expect("the second try");
    assert!(lease.trusted_for() > ms(0));
    assert_eq!(conn.row(&lock).await.fence, lease.fence());
}
