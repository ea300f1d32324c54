//! The table as Diesel sees it, for queries of your own. The column `token` is a secret: whoever reads it can
//! release the lock and commit as its holder.

/// Declares the table of the locks as a module of your crate, to join and filter with it: Diesel wants tables
/// that appear in one query to be declared in one crate.
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
            /// The locks: a row for each name that was ever used.
            #[sql_name = $name]
            $($table)+ (name) {
                /// The name, with `group|` before it if it is in one.
                name -> Text,
                /// Who holds the lock; null when nobody does.
                token -> Nullable<Text>,
                /// The label of the holder, or of the last one.
                owner -> Text,
                /// The number of the latest acquisition.
                fence -> BigInt,
                /// When that was: microseconds since 1970, by the database's clock.
                acquired_at -> BigInt,
                /// When its lease ends or ended, likewise.
                expires_at -> BigInt,
                /// The text left with the lock.
                data -> Nullable<Text>,
                /// Until when somebody waits to be woken by the release, likewise.
                wanted_until -> Nullable<BigInt>,
            }
        }
    };
}

locks_table!(diesel_locks);
