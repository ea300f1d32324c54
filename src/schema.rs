//! The table of the locks as Diesel sees it, for queries of your own. The column `token` is a secret: a process that
//! reads it can release the lock, and commit as its holder.

/// Declares the table of the locks as a module of your crate. Use it to join or filter with the table: Diesel wants all
/// tables of one query to be declared in one crate.
///
/// ```
/// diesel_locks::locks_table!(locks);                            // the table `diesel_locks`
/// diesel_locks::locks_table!(billing = "billing_locks");        // another one
/// mod elsewhere {
///     diesel_locks::locks_table!(infra.billing = "billing_locks"); // in a schema
/// }
///
/// diesel::table! {
///     jobs (id) { id -> BigInt, lock -> Text, }
/// }
/// diesel::allow_tables_to_appear_in_same_query!(locks, jobs);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! locks_table {
    ($table:ident) => {
        $crate::locks_table!($table = "diesel_locks");
    };
    ($table:ident = $name:literal) => {
        $crate::locks_table!(@declare [$table] $name);
    };
    ($schema:ident . $table:ident = $name:literal) => {
        $crate::locks_table!(@declare [$schema . $table] $name);
    };
    (@declare [$($table:tt)+] $name:literal) => {
        ::diesel::table! {
            /// The locks. Each name that was ever used has a row.
            #[sql_name = $name]
            $($table)+ (name) {
                /// The name, with `group|` before it if the lock is in a group.
                name -> Text,
                /// The token of the holder; null if nobody holds the lock.
                token -> Nullable<Text>,
                /// The label of the holder, or of the last holder if the lock is free.
                owner -> Text,
                /// The number of the latest acquisition.
                fence -> BigInt,
                /// When the latest acquisition happened: microseconds since 1970, by the database's clock.
                acquired_at -> BigInt,
                /// When the lease of that acquisition expires or expired: microseconds since 1970, by the database's
                /// clock. On MySQL and MariaDB an extension does not change it: the view `…_held` shows the present end.
                expires_at -> BigInt,
                /// Until when a waiter wants a notification of the release: microseconds since 1970, by the database's
                /// clock.
                wanted_until -> Nullable<BigInt>,
                /// When the process came that has waited longest: microseconds since 1970, by the database's clock.
                /// Processes take turns by this hint.
                wanted_since -> Nullable<BigInt>,
            }
        }
    };
}

locks_table!(diesel_locks);
