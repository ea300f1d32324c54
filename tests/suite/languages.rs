//! What a server says in another language means the same.

use diesel_locks::{Error, Lock};

use crate::session::Session;
use crate::world::{World, is_in_german, own_table, spawn};

/// The passes of the suite in German are no good if the servers speak English.
pub async fn the_server_speaks_the_language_of_this_run(world: &World) {
    let mut conn = world.session().await;
    let error = conn
        .sql("SELECT 1 FROM nowhere")
        .await
        .unwrap_err()
        .to_string();
    let english = ["does not exist", "doesn't exist", "no such table"];
    let is_english = english.iter().any(|text| error.contains(text));
    let how = "start PostgreSQL with LANGUAGE=de, and with its message catalogues";
    assert_eq!(
        is_english,
        !is_in_german() || world.is_sqlite(),
        "{error}: {how}"
    );
}

/// The values of `lc_messages` of MySQL and MariaDB. A server knows most of them.
const LANGUAGES: [&str; 27] = [
    "bg_BG", "cs_CZ", "da_DK", "de_DE", "el_GR", "en_US", "es_ES", "et_EE", "fr_FR", "hi_IN",
    "hu_HU", "it_IT", "ja_JP", "ka_GE", "ko_KR", "nb_NO", "nl_NL", "no_NO", "pl_PL", "pt_BR",
    "ro_RO", "ru_RU", "sk_SK", "sr_RS", "sv_SE", "uk_UA", "zh_CN",
];

/// On PostgreSQL a session can speak only the languages whose locales the machine has, so there German stands for all.
pub async fn an_error_is_understood_in_every_language(world: &World) {
    let (mut one, mut other) = (world.session().await, world.session().await);
    let nowhere = world.lock("x").in_table(own_table("nowhere"));
    let languages: &[&str] = if world.is_mysql() {
        &LANGUAGES
    } else {
        &["as it is"]
    };
    let (mut known, locks) = (0, [world.lock("a"), world.lock("b")]);
    for lock in &locks {
        one.take(lock).await;
    }
    for language in languages {
        if world.is_mysql() {
            let speak = format!("SET SESSION lc_messages = '{language}'");
            if one.batch(&speak).await.is_err() {
                continue; // the server does not know the language
            }
            other.batch(&speak).await.unwrap();
        }
        known += 1;
        let error = one.try_acquire(&nowhere).await.unwrap_err();
        assert!(
            matches!(error, Error::TableMissing { .. }),
            "{language}: {error:?}"
        );
        if !world.is_sqlite() {
            [one, other] = deadlock([one, other], &locks, language).await;
        }
    }
    assert!(
        known > languages.len() / 2,
        "the server knows {known} languages"
    );
    world.make_impatient(&mut *other).await;
    one.begin().await.unwrap();
    one.sql(&touch(&locks[0])).await.unwrap();
    let error = other.sql(&touch(&locks[0])).await.unwrap_err();
    let error = Error::from(error);
    assert!(error.is_transient(), "{error:?}");
    one.rollback().await.unwrap();
}

fn touch(lock: &Lock) -> String {
    let key = lock.key();
    format!(
        "UPDATE diesel_locks SET owner = owner, expires_at = expires_at + 1 WHERE name = '{key}'"
    )
}

/// Each of two transactions waits for the row of the other one. The server ends one of them.
async fn deadlock(
    pair: [Box<dyn Session>; 2],
    locks: &[Lock; 2],
    language: &str,
) -> [Box<dyn Session>; 2] {
    let [mut one, mut other] = pair;
    one.begin().await.unwrap();
    other.begin().await.unwrap();
    one.sql(&touch(&locks[0])).await.unwrap();
    other.sql(&touch(&locks[1])).await.unwrap();
    let second = |mut conn: Box<dyn Session>, lock: &Lock| {
        let sql = touch(lock);
        spawn(async move {
            let answer = conn.sql(&sql).await;
            let _ = conn.rollback().await;
            (conn, answer.err())
        })
    };
    let both = [second(one, &locks[1]), second(other, &locks[0])];
    let [one, other] = both;
    let ((one, first), (other, last)) = (one.await.unwrap(), other.await.unwrap());
    let ended: Vec<Error> = first.into_iter().chain(last).map(Error::from).collect();
    assert_eq!(ended.len(), 1, "{language}: {ended:?}");
    assert!(ended[0].is_transient(), "{language}: {ended:?}");
    [one, other]
}
