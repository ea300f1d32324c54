// @generated automatically by Diesel CLI.

diesel::table! {
    diesel_locks (name) {
        #[max_length = 255]
        name -> Varchar,
        #[max_length = 128]
        token -> Nullable<Varchar>,
        #[max_length = 255]
        owner -> Varchar,
        fence -> Bigint,
        acquired_at -> Bigint,
        expires_at -> Bigint,
        wanted_until -> Nullable<Bigint>,
        wanted_since -> Nullable<Bigint>,
    }
}

diesel::table! {
    diesel_locks_beats (name) {
        #[max_length = 255]
        name -> Varchar,
        fence -> Bigint,
        expires_at -> Bigint,
        data -> Nullable<Text>,
        wanted_since -> Nullable<Bigint>,
        wanted_fence -> Nullable<Bigint>,
    }
}

diesel::table! {
    host_jobs (id) {
        id -> Bigint,
        #[max_length = 200]
        lock_name -> Varchar,
        done -> Nullable<Bigint>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(diesel_locks, diesel_locks_beats, host_jobs,);
