//! Opens the connections of a world.

use std::sync::OnceLock;

use diesel::Connection;
use diesel::r2d2::{ConnectionManager, Pool, PooledConnection, R2D2Connection};
use diesel_async::AsyncConnection;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::bb8;
use diesel_locks_tests::{Answer, with_connection_types};
use tokio::sync::OnceCell;

use super::{Engine, Mode, POOL_SIZE, Source};
use crate::session::Session;

pub type Opener = Box<dyn Fn() -> Answer<'static, Box<dyn Session>> + Send + Sync>;

pub fn of(engine: Engine, mode: Mode, source: Source, url: String) -> Opener {
    /// Makes the opener for the two connection types of a backend.
    macro_rules! opener {
        ($blocking:ty, $asynchronous:ty) => {
            match (mode, source) {
                (Mode::Blocking, Source::Own) => own_blocking::<$blocking>(url),
                (Mode::Blocking, Source::Pool) => pool_blocking::<$blocking>(url),
                (Mode::Async, Source::Own) => own_async::<$asynchronous>(url),
                (Mode::Async, Source::Pool) => pool_async!($asynchronous, url),
            }
        };
    }
    with_connection_types!(engine, opener)
}

fn own_blocking<C: Connection + Session + 'static>(url: String) -> Opener {
    Box::new(move || {
        let conn = C::establish(&url).expect("a connection");
        Box::pin(async move { Box::new(conn) as Box<dyn Session> })
    })
}

fn pool_blocking<C>(url: String) -> Opener
where
    C: R2D2Connection + 'static,
    PooledConnection<ConnectionManager<C>>: Session,
{
    let pool = OnceLock::new();
    Box::new(move || {
        let pool = pool.get_or_init(|| {
            Pool::builder()
                .max_size(POOL_SIZE)
                .min_idle(Some(0))
                .build(ConnectionManager::<C>::new(&url))
                .expect("a pool")
        });
        let conn = pool.get().expect("a connection of the pool");
        Box::pin(async move { Box::new(conn) as Box<dyn Session> })
    })
}

fn own_async<C: AsyncConnection + Session + 'static>(url: String) -> Opener {
    Box::new(move || {
        let url = url.clone();
        Box::pin(async move {
            let conn = C::establish(&url).await.expect("a connection");
            Box::new(conn) as Box<dyn Session>
        })
    })
}

/// This is a macro, because the trait bounds of a generic function would be too long.
macro_rules! pool_async {
    ($connection:ty, $url:ident) => {{
        let pool = std::sync::Arc::new(OnceCell::new());
        Box::new(move || {
            let (pool, url) = (pool.clone(), $url.clone());
            Box::pin(async move {
                let open = || async {
                    let manager = AsyncDieselConnectionManager::<$connection>::new(url);
                    let pool = bb8::Pool::<$connection>::builder().max_size(POOL_SIZE);
                    pool.build(manager).await.expect("a pool")
                };
                let pool: &bb8::Pool<$connection> = pool.get_or_init(open).await;
                let conn = pool.get_owned().await.expect("a connection of the pool");
                Box::new(conn) as Box<dyn Session>
            })
        })
    }};
}
use pool_async;
