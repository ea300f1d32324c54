//! The random identity of one acquisition. A process that knows the token can act as the holder. So the token is shown
//! nowhere: not in `Debug`, and not in Diesel's query logs, because Diesel prints bind values with `Debug`.

use std::fmt;
use std::sync::Arc;

use diesel::backend::Backend;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Text;

use crate::error::{Error, Result};

#[derive(Clone, PartialEq, Eq, diesel::expression::AsExpression)]
#[diesel(sql_type = Text)]
pub struct Token(Arc<str>);

impl Token {
    /// A token of 128 random bits. Nobody can guess it, and no other acquisition has it.
    pub(crate) fn random() -> Result<Self> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).map_err(|error| Error::Invalid {
            what: "the system's source of randomness",
            value: error.to_string(),
            remedy: "make it readable, or give each acquisition a token of your own with `Lock::with_token`",
        })?;
        Ok(Self(format!("{:032x}", u128::from_ne_bytes(bits)).into()))
    }

    /// A token that the caller chose.
    pub(crate) fn new(text: &str) -> Result<Self> {
        if (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self(text.into()));
        }
        Err(Error::Invalid {
            what: "token",
            value: format!("of {} bytes", text.len()),
            remedy: "1 to 128 visible ASCII characters, different for each acquisition",
        })
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<token>")
    }
}

impl<DB> ToSql<Text, DB> for Token
where
    DB: Backend,
    str: ToSql<Text, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.to_sql(out)
    }
}

#[cfg(test)]
mod tests {
    use super::Token;

    #[test]
    fn random_tokens_differ_and_hold_128_bits() {
        let (one, other) = (Token::random().unwrap(), Token::random().unwrap());
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.reveal().len(), 32);
    }

    #[test]
    fn a_token_that_an_engine_could_fold_or_cut_is_refused() {
        for bad in ["", " ", "with space", "ü", "nul\0", &"x".repeat(129)] {
            assert!(Token::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn debug_does_not_show_it() {
        assert!(!format!("{:?}", Token::new("secret").unwrap()).contains("secret"));
    }
}
