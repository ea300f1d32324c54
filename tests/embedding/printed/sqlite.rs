// @generated automatically by Diesel CLI.

diesel::table! {
    diesel_locks (name) {
        name -> Text,
        token -> Nullable<Text>,
        owner -> Text,
        fence -> BigInt,
        acquired_at -> BigInt,
        expires_at -> BigInt,
        data -> Nullable<Text>,
        wanted_until -> Nullable<BigInt>,
        wanted_since -> Nullable<BigInt>,
    }
}

diesel::table! {
    host_jobs (id) {
        id -> BigInt,
        lock_name -> Text,
        done -> Nullable<BigInt>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(diesel_locks, host_jobs,);
