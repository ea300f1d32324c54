//! Errors in the words of an operator. The library's own words are for programmers: they name types and methods.

use std::error::Error as StdError;

use diesel_locks::Error;

/// The text of an error for the user of this program.
pub fn explain(error: &(dyn StdError + Send + Sync + 'static)) -> String {
    let text = match error.downcast_ref() {
        Some(Error::TableMissing { engine, .. }) => missing_table(engine),
        Some(Error::NoConnection { source, .. }) => explain(&**source),
        Some(Error::TooLate { key, took, ttl, .. }) => format!(
            "the database took {took:?} to say that {key} was acquired, which is too long for a ttl of {ttl:?}: it was \
             given back; use a longer --ttl"
        ),
        Some(Error::Lost { key, .. }) => lost(key),
        _ => error.to_string(),
    };
    text.trim_end().to_owned()
}

pub fn lost(key: &str) -> String {
    format!("{key} is lost: the lease was taken over, released or removed")
}

fn missing_table(engine: &str) -> String {
    format!(
        "the table of the locks is missing: create it with `diesel-locks migrate`; or, if the application's migrations \
         are to create it, with `diesel-locks migrations write {engine}` and `diesel migration run`. If the table has \
         another name, give it with --table, and its schema with --schema"
    )
}

#[cfg(test)]
mod tests {
    use diesel_locks::{Error, Lock};

    use super::explain;

    #[test]
    fn what_needs_no_other_words_keeps_its_own() {
        let invalid = Lock::new("").unwrap_err();
        assert_eq!(explain(&invalid), invalid.to_string());
        let other: Box<dyn std::error::Error + Send + Sync> = "a text\n".into();
        assert_eq!(explain(&*other), "a text");
        let database = Error::from(diesel::result::Error::NotFound);
        assert_eq!(explain(&database), database.to_string());
    }
}
