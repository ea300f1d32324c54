//! A batch of leases as one value: a JSON array, which every engine can read as rows.

use std::fmt;

use diesel::backend::Backend;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Text;

use crate::json::{array, quoted};
use crate::lease::Lease;
use crate::lock::{Lock, micros};
use crate::token::Token;

/// For each lease an array of its key, token, fence and ttl in microseconds. A batch is as secret as its tokens, so it
/// is never shown: see the module `token`.
#[derive(Clone)]
pub struct Batch(String);

impl Batch {
    pub(crate) fn of(leases: &[&Lease]) -> Self {
        let row = |lease: &&Lease| row(&lease.lock, &lease.token, lease.fence.to_string());
        Self(array(leases.iter().map(row)))
    }

    /// For each try an array of its key, token, owner and ttl.
    pub(crate) fn of_tries(tries: &[(Lock, Token)]) -> Self {
        let row = |(lock, token): &(Lock, Token)| row(lock, token, quoted(&lock.owner));
        Self(array(tries.iter().map(row)))
    }
}

fn row(lock: &Lock, token: &Token, third: String) -> String {
    array([
        quoted(lock.key()),
        quoted(token.reveal()),
        third,
        micros(lock.ttl).to_string(),
    ])
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<leases>")
    }
}

impl<DB> ToSql<Text, DB> for Batch
where
    DB: Backend,
    str: ToSql<Text, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.as_str().to_sql(out)
    }
}

#[cfg(test)]
mod tests {
    use super::Batch;
    use crate::clock::Moment;
    use crate::lease::Lease;
    use crate::lock::Lock;
    use crate::token::Token;

    #[test]
    fn a_batch_is_json_that_debug_does_not_show() {
        let lock = Lock::in_group("é", "a\"\\").unwrap();
        let token = Token::new(r#"q"b\"#).unwrap();
        let lease = Lease::new(&lock, token, 7, Moment::now());
        let batch = Batch::of(&[&lease, &lease]);
        let row = r#"["é|a\"\\","q\"b\\",7,30000000]"#;
        assert_eq!(batch.0, format!("[{row},{row}]"));
        assert_eq!(format!("{batch:?}"), "<leases>");
    }
}
