//! Two different names are two different locks, on every engine, or one of them is refused on every engine.

use diesel_locks::{Error, List, Lock, Record};

use crate::world::World;

const DIFFERENT: [&str; 44] = [
    "x",
    "X",
    " x",
    "  x",
    "x\u{a0}",
    "x\u{3000}",
    "x\u{200b}",
    "x\u{fe0f}",
    "xx",
    "x.",
    "x!",
    "x|y",
    "x||",
    "|",
    "é",
    "e\u{301}",
    "e",
    "ß",
    "ss",
    "ẞ",
    "İ",
    "i",
    "ı",
    "ﬁ",
    "fi",
    "１",
    "1",
    "🔒",
    "🔓",
    "\u{10fffe}",
    "'",
    "''",
    "\"",
    "`",
    "\\",
    "\\\\",
    "%",
    "_",
    "{Token}",
    "{name}",
    "?",
    "$1",
    "--",
    "NULL",
];

const REFUSED: [(&str, &str); 8] = [
    ("", "at least one character"),
    ("x ", "no space at its end"),
    (" ", "no space at its end"),
    ("nul\0", "no control characters"),
    ("line\n", "no control characters"),
    ("\u{7f}", "no control characters"),
    ("tab\tb", "no control characters"),
    ("x\u{10ffff}", "no control characters"),
];

pub async fn names_that_an_engine_could_confuse_are_different_locks(world: &World) {
    let mut conn = world.session().await;
    let mut leases = Vec::new();
    for name in DIFFERENT {
        leases.push((name, conn.take(&world.lock(name)).await));
    }
    for (name, lease) in &leases {
        let row = conn.row(lease.lock()).await;
        assert_eq!((row.name(), row.group()), (*name, lease.lock().group()));
        assert_eq!(row.fence, lease.fence(), "{name:?}");
    }
    let listed = conn.load(&world.list().held()).await.unwrap();
    let mut expected = DIFFERENT;
    expected.sort_unstable();
    assert_eq!(
        listed.iter().map(Record::name).collect::<Vec<_>>(),
        expected
    );
    for (name, lease) in &leases {
        conn.release(lease).await.unwrap();
        assert!(!conn.is_held(lease.lock()).await.unwrap(), "{name:?}");
    }
    assert!(conn.load(&world.list().held()).await.unwrap().is_empty());
}

pub async fn the_longest_name_is_not_cut(world: &World) {
    let mut conn = world.session().await;
    for letter in ["x", "é", "🔒"] {
        let room = 255 - world.lock("x").key().chars().count();
        let longest = letter.repeat(room);
        let (one, other) = (
            world.lock(&format!("{longest}1")),
            world.lock(&format!("{longest}2")),
        );
        let (first, second) = (conn.take(&one).await, conn.take(&other).await);
        assert_eq!(conn.row(&one).await.name(), format!("{longest}1"));
        assert_eq!(conn.row(&other).await.fence, second.fence());
        assert_eq!(conn.row(&one).await.fence, first.fence());
        let group = one.group().unwrap();
        let refused = Lock::in_group(group, format!("{longest}12")).unwrap_err();
        assert!(
            refused.to_string().contains("at most 255 characters"),
            "{refused}"
        );
    }
}

#[test]
fn what_an_engine_would_fold_cut_or_refuse_is_refused_everywhere() {
    for (bad, why) in REFUSED {
        for refused in [
            Lock::new(bad),
            Lock::in_group("g", bad),
            Lock::in_group(bad, "x"),
        ] {
            let refused = refused.unwrap_err();
            assert!(matches!(refused, Error::Invalid { .. }));
            assert!(refused.to_string().contains(why), "{bad:?}: {refused}");
        }
    }
    assert!(
        Lock::new("a|b")
            .unwrap_err()
            .to_string()
            .contains("Lock::in_group")
    );
}

#[test]
fn a_group_that_no_lock_can_be_in_is_refused_everywhere() {
    use diesel_locks::query::{locked, unlocked};
    let name = || diesel::dsl::sql::<diesel::sql_types::Text>("name");
    for bad in ["", "a|b", "x "] {
        let refused = [
            List::all().in_group(bad).err(),
            unlocked(name()).in_group(bad).err(),
            locked(name()).in_group(bad).err(),
        ];
        for error in refused {
            let error = error.expect("refused").to_string();
            assert!(error.contains("group of locks"), "{error}");
        }
    }
}

#[test]
fn a_key_of_the_table_names_its_lock() {
    for lock in [Lock::new("x"), Lock::in_group("a", "b|c")] {
        let lock = lock.unwrap();
        let again = Lock::from_key(lock.key()).unwrap();
        assert_eq!((again.group(), again.name()), (lock.group(), lock.name()));
    }
    for bad in ["", "|x", "a|"] {
        assert!(Lock::from_key(bad).is_err(), "{bad:?}");
    }
}

pub async fn group_and_name_cannot_be_confused(world: &World) {
    let mut conn = world.session().await;
    let scope = world.lock("x").group().unwrap().to_owned();
    let group = |group: &str, name: &str| Lock::in_group(format!("{scope}{group}"), name).unwrap();
    let locks = [
        group("/b", "c"),
        group("", "b/c"),
        group("", "/b|c"),
        group("/b/c", "c"),
        Lock::new(format!("{scope}/b/c")).unwrap(),
        Lock::new(format!("{scope}/b")).unwrap(),
        Lock::new(&scope).unwrap(),
    ];
    for lock in &locks {
        conn.take(lock).await;
    }
    for lock in &locks {
        let row = conn.row(lock).await;
        assert_eq!((row.group(), row.name()), (lock.group(), lock.name()));
        assert_eq!(row.key, lock.key());
    }
    let listed = conn.load(&world.list()).await.unwrap();
    assert_eq!(
        listed.iter().map(Record::name).collect::<Vec<_>>(),
        ["/b|c", "b/c"]
    );
}
