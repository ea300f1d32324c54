//! How the protocol runs on a connection: the text that blocking and async connections have in common.
//!
//! The two modes use different traits with the same names, and the async text has `.await`. So the text is a macro.
//!
//! The future of an async call can be dropped before its answer. What the connection does with that answer depends on its
//! driver. A connection that may be out of step is discarded, and every later call of this crate on it is an error: a
//! wrong answer would be a lock that nobody holds.

/// Defines the trait of a mode's connections, and the executor on them. A mode uses the first arm. It adds the list of what a
/// statement can load: the method of the connection, the method of the executor, and the type of the rows.
macro_rules! lock_connection {
    (
        $(#[$doc:meta])*
        trait $LockConnection:ident over $($Connection:path),+;
        struct $Executor:ident;
        sleep $sleep:expr;
        answer $awaited:ident;
    ) => {
        lock_connection! {
            @loads
            $(#[$doc])*
            trait $LockConnection over $($Connection),+;
            struct $Executor;
            sleep $sleep;
            answer $awaited;
            load_rows as load: LockRow,
            load_states as ask: LeaseState,
            load_numbers as numbers: i64,
            load_facts as facts: Fact,
        }
    };
    (
        @loads
        $(#[$doc:meta])*
        trait $LockConnection:ident over $($Connection:path),+;
        struct $Executor:ident;
        sleep $sleep:expr;
        answer $awaited:ident;
        $($load:ident as $ask:ident: $Row:ty,)+
    ) => {
        $(#[$doc])*
        ///
        /// This trait is sealed: the crate implements it for all connections that can be used.
        pub trait $LockConnection: Statements<Sql = <Self as $LockConnection>::Dialect> {
            /// The database behind the connection.
            type Dialect: Dialect + Winning;
        }

        impl<C: Statements> $LockConnection for C {
            type Dialect = C::Sql;
        }

        /// The part of a connection that stays inside this crate.
        pub trait Statements: Send {
            type Sql: Winning;
            $(
                fn $load(
                    &mut self,
                    statement: Statement,
                ) -> impl Future<Output = QueryResult<Vec<$Row>>> + Send;
            )+
            fn batch(&mut self, sql: &str) -> impl Future<Output = QueryResult<()>> + Send;
            fn count(
                &mut self,
                statement: Statement,
            ) -> impl Future<Output = QueryResult<usize>> + Send;
            fn is_in_transaction(&mut self) -> bool;
            /// Whether the connection was discarded, or one of its transactions has failed half way.
            fn is_broken(&mut self) -> bool;
            fn begin(&mut self) -> impl Future<Output = QueryResult<()>> + Send;
            fn commit(&mut self) -> impl Future<Output = QueryResult<()>> + Send;
            fn rollback(&mut self) -> impl Future<Output = QueryResult<()>> + Send;
            /// Keeps a pool and this crate from using the connection again.
            fn discard(&mut self);
        }

        impl<C> Statements for C
        where
            C: $($Connection +)+,
            C::Backend:
                Winning + QueryMetadata<LockRowSql> + QueryMetadata<BigInt> + QueryMetadata<FactSql>,
            LockRow: FromSqlRow<LockRowSql, C::Backend>,
            LeaseState: FromSqlRow<BigInt, C::Backend>,
            i64: FromSqlRow<BigInt, C::Backend>,
            Fact: FromSqlRow<FactSql, C::Backend>,
        {
            type Sql = C::Backend;

            $(
                async fn $load(&mut self, statement: Statement) -> QueryResult<Vec<$Row>> {
                    let mut call = call(self)?;
                    let answer = $awaited!(RunQueryDsl::load(Rows::<$Row>::of(statement), &mut **call));
                    call.done();
                    answer
                }
            )+

            async fn batch(&mut self, sql: &str) -> QueryResult<()> {
                let mut call = call(self)?;
                let answer = $awaited!(call.batch_execute(sql));
                call.done();
                answer
            }

            async fn count(&mut self, statement: Statement) -> QueryResult<usize> {
                let mut call = call(self)?;
                let answer = $awaited!(RunQueryDsl::execute(Rows::<()>::of(statement), &mut **call));
                call.done();
                answer
            }

            fn is_in_transaction(&mut self) -> bool {
                let status = C::TransactionManager::transaction_manager_status_mut(self);
                !matches!(status.transaction_depth(), Ok(None))
            }

            fn is_broken(&mut self) -> bool {
                let status = C::TransactionManager::transaction_manager_status_mut(self);
                status.transaction_depth().is_err()
            }

            async fn begin(&mut self) -> QueryResult<()> {
                let mut call = in_use(self);
                let answer = $awaited!(C::TransactionManager::begin_transaction(&mut **call));
                call.done();
                answer
            }

            async fn commit(&mut self) -> QueryResult<()> {
                let mut call = in_use(self);
                let answer = $awaited!(C::TransactionManager::commit_transaction(&mut **call));
                call.done();
                answer
            }

            async fn rollback(&mut self) -> QueryResult<()> {
                let mut call = in_use(self);
                let answer = $awaited!(C::TransactionManager::rollback_transaction(&mut **call));
                call.done();
                answer
            }

            fn discard(&mut self) {
                // The wrapper of SQLite's connection cannot be asked during a panic: it would panic again.
                if !std::thread::panicking() || <C::Backend as Sql>::PIN_ENDS_UNSEEN {
                    C::TransactionManager::transaction_manager_status_mut(self).set_in_error();
                }
            }
        }

        /// Lends a connection. If it is dropped before the end of its use, it is discarded.
        pub(super) fn in_use<C: Statements>(conn: &mut C) -> InUse<&mut C> {
            InUse::new(conn, |conn| conn.discard())
        }

        /// Begins a call on a connection that can be used. If the call is dropped before its answer, the connection is
        /// discarded where its driver would read that answer as the answer to the next call.
        fn call<C: Statements>(conn: &mut C) -> QueryResult<InUse<&mut C>> {
            if conn.is_broken() {
                return Err(diesel::result::Error::BrokenTransactionManager);
            }
            Ok(InUse::new(conn, |conn| {
                if <C::Sql as Sql>::LEAVES_ANSWERS_UNREAD {
                    conn.discard();
                }
            }))
        }

        /// The protocol's executor, on a connection that is borrowed or was checked out of a pool.
        #[derive(Debug)]
        pub struct $Executor<C> {
            pub(super) conn: C,
            /// Whether there is a transaction that Diesel has not begun.
            is_open: bool,
        }

        impl<C> $Executor<C> {
            pub(super) fn owning(conn: C) -> Self {
                Self { conn, is_open: false }
            }
        }

        impl<'c, C> $Executor<&'c mut C> {
            pub(crate) fn on(conn: &'c mut C) -> Self {
                Self::owning(conn)
            }
        }

        impl<C> $Executor<C>
        where
            C: DerefMut<Target: Statements> + Send,
        {
            fn explained<T>(&mut self, answer: QueryResult<T>) -> Result<T> {
                let engine = <C::Target as Statements>::Sql::ENGINE;
                answer.map_err(|error| Error::from_engine(error, engine, self.in_transaction()))
            }

            /// The answer to a COMMIT or a ROLLBACK. If the connection broke, the transaction counts as open: a pool must
            /// not get this connection back.
            fn ended(&mut self, answer: QueryResult<()>) -> Result<()> {
                let ended = self.explained(answer);
                self.is_open |= matches!(&ended, Err(error) if error.is_connection());
                ended
            }
        }

        impl<C> Executor for $Executor<C>
        where
            C: DerefMut<Target: Statements> + Send,
        {
            type Backend = <C::Target as Statements>::Sql;

            $(
                async fn $ask(&mut self, statement: Statement) -> Result<Vec<$Row>> {
                    let answer = self.conn.$load(statement).await;
                    self.explained(answer)
                }
            )+

            async fn batch(&mut self, sql: &str) -> Result<()> {
                let answer = self.conn.batch(sql).await;
                self.explained(answer)
            }

            async fn run(&mut self, statement: Statement) -> Result<usize> {
                let answer = self.conn.count(statement).await;
                self.explained(answer)
            }

            fn in_transaction(&mut self) -> bool {
                self.is_open || self.conn.is_in_transaction()
            }

            fn is_broken(&mut self) -> bool {
                self.conn.is_broken()
            }

            fn note_transaction(&mut self) {
                self.is_open = true;
            }

            async fn sleep(&mut self, pause: Duration) {
                $awaited!($sleep(pause));
            }
        }

        impl<C> Transactions for $Executor<C>
        where
            C: DerefMut<Target: Statements> + Send,
        {
            async fn begin(&mut self) -> Result<()> {
                let answer = self.conn.begin().await;
                self.explained(answer)
            }

            async fn commit(&mut self) -> Result<()> {
                let answer = self.conn.commit().await;
                self.ended(answer)
            }

            async fn rollback(&mut self) -> Result<()> {
                let answer = self.conn.rollback().await;
                self.ended(answer)
            }
        }
    };
}
pub(crate) use lock_connection;
