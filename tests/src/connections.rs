//! The connection types of each engine.

#[cfg(feature = "mysql")]
pub type AsyncMysql = diesel_async::AsyncMysqlConnection;
#[cfg(feature = "postgres")]
pub type AsyncPostgres = diesel_async::AsyncPgConnection;
#[cfg(feature = "sqlite")]
pub type AsyncSqlite =
    diesel_async::sync_connection_wrapper::SyncConnectionWrapper<diesel::SqliteConnection>;

/// Calls a macro with the two connection types of an engine: the blocking one and the async one.
#[macro_export]
macro_rules! with_connection_types {
    ($engine:expr, $work:ident) => {
        match $engine {
            #[cfg(feature = "postgres")]
            $crate::Engine::Postgres => {
                $work!(diesel::PgConnection, $crate::connections::AsyncPostgres)
            }
            #[cfg(feature = "mysql")]
            $crate::Engine::MariaDb | $crate::Engine::MySql => {
                $work!(diesel::MysqlConnection, $crate::connections::AsyncMysql)
            }
            #[cfg(feature = "sqlite")]
            $crate::Engine::Sqlite => {
                $work!(diesel::SqliteConnection, $crate::connections::AsyncSqlite)
            }
        }
    };
}
