//! The values that statements bind, so that Diesel's bounds for them stand in one place.

use std::time::Duration;

use diesel::backend::Backend;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::batch::Batch;
use crate::lock::micros;
use crate::token::Token;

/// A value that a statement binds, of one of the few types that are needed.
#[derive(Clone, Debug)]
pub enum Bound {
    Text(String),
    NullableText(Option<String>),
    Token(Option<Token>),
    Batch(Batch),
    Number(i64),
    NullableNumber(Option<i64>),
}

/// Binds a value in a query of this backend.
pub trait Binding: Backend {
    fn bind<'b>(value: &'b Bound, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()>;
}

impl<DB> Binding for DB
where
    DB: Backend,
    String: ToSql<Text, DB>,
    Token: ToSql<Text, DB>,
    Batch: ToSql<Text, DB>,
    Option<String>: ToSql<Nullable<Text>, DB>,
    Option<Token>: ToSql<Nullable<Text>, DB>,
    i64: ToSql<BigInt, DB>,
    Option<i64>: ToSql<Nullable<BigInt>, DB>,
{
    fn bind<'b>(value: &'b Bound, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        match value {
            Bound::Text(value) => out.push_bind_param::<Text, _>(value),
            Bound::NullableText(value) => out.push_bind_param::<Nullable<Text>, _>(value),
            Bound::Token(value) => out.push_bind_param::<Nullable<Text>, _>(value),
            Bound::Batch(value) => out.push_bind_param::<Text, _>(value),
            Bound::Number(value) => out.push_bind_param::<BigInt, _>(value),
            Bound::NullableNumber(value) => out.push_bind_param::<Nullable<BigInt>, _>(value),
        }
    }
}

macro_rules! bounds {
    ($($From:ty, $value:ident => $bound:expr;)+) => {
        $(
            impl From<$From> for Bound {
                fn from($value: $From) -> Self {
                    $bound
                }
            }
        )+
    };
}

bounds! {
    &str, text => Self::Text(text.to_owned());
    String, text => Self::Text(text);
    Option<String>, text => Self::NullableText(text);
    Option<Token>, token => Self::Token(token);
    Batch, batch => Self::Batch(batch);
    i64, number => Self::Number(number);
    bool, yes => Self::Number(i64::from(yes));
    Duration, time => Self::Number(micros(time)); // as the table counts
    Option<i64>, number => Self::NullableNumber(number);
}
