// @generated automatically by Diesel CLI.

diesel::table! {
    diesel_locks (name) {
        name -> Text,
        token -> Nullable<Text>,
        owner -> Text,
        fence -> Int8,
        acquired_at -> Int8,
        expires_at -> Int8,
        data -> Nullable<Text>,
        wanted_until -> Nullable<Int8>,
        wanted_since -> Nullable<Int8>,
    }
}

diesel::table! {
    host_jobs (id) {
        id -> Int8,
        #[max_length = 200]
        lock_name -> Varchar,
        done -> Nullable<Int8>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(diesel_locks, host_jobs,);
