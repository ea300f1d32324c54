//! A connection without `CLIENT_FOUND_ROWS`, which Diesel's drivers set. On such a connection, an UPDATE counts only
//! the rows that it has really changed.

use diesel_async::AsyncMysqlConnection;

use super::{model, tick};
use crate::session::Session;
use crate::world::{Engine, Mode, Source, World};

async fn session(world: &World) -> Box<dyn Session> {
    let opts =
        mysql_async::Opts::from_url(&world.engine.server().expect("a server")).expect("a URL");
    assert!(!opts.client_found_rows());
    let conn = mysql_async::Conn::new(opts).await.expect("a connection");
    Box::new(
        AsyncMysqlConnection::try_from(conn)
            .await
            .expect("a connection"),
    )
}

mod mariadb {
    #[test]
    fn without_found_rows_nothing_is_taken_for_lost() {
        super::on(super::Engine::MariaDb);
    }
}

mod mysql {
    #[test]
    fn without_found_rows_nothing_is_taken_for_lost() {
        super::on(super::Engine::MySql);
    }
}

fn on(engine: Engine) {
    let world = World::new(engine, Mode::Async, Source::Own, "found_rows");
    world.run(|world| Box::pin(without_found_rows(world)));
}

async fn without_found_rows(world: &World) {
    model::play(world, [session(world).await, session(world).await]).await;
    let mut conn = session(world).await;
    conn.batch("SET timestamp = 1767225600.25").await.unwrap();
    tick::within_one_tick(&mut *conn, &world.lock("y")).await;
}
