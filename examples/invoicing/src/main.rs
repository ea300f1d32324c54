//! A command-line application for invoices: see README.md.

mod database;
mod numbering;
mod payment;
mod schema;

use std::process::ExitCode;

use diesel::prelude::*;

use crate::database::Pool;
use crate::schema::invoices;

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

const USAGE: &str = "\
invoicing add CUSTOMER CENTS
invoicing list
invoicing pay ID
invoicing number      gives numbers until you stop it; several can run at the same time

The database is the file that DATABASE_URL names, or invoicing.db.";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["add", customer, cents] => add(&database::open()?, customer, cents.parse()?),
        ["list"] => list(&database::open()?),
        ["pay", id] => payment::pay(&database::open()?, id.parse()?),
        ["number"] => numbering::run(&database::open()?),
        _ => Err(USAGE.into()),
    }
}

fn add(pool: &Pool, customer: &str, cents: i32) -> Result<()> {
    let id: i32 = diesel::insert_into(invoices::table)
        .values((invoices::customer.eq(customer), invoices::cents.eq(cents)))
        .returning(invoices::id)
        .get_result(&mut pool.get()?)?;
    println!("{id}");
    Ok(())
}

fn list(pool: &Pool) -> Result<()> {
    let all: Vec<(i32, String, i32, bool, Option<i32>)> = invoices::table
        .select((
            invoices::id,
            invoices::customer,
            invoices::cents,
            invoices::paid,
            invoices::number,
        ))
        .order(invoices::id)
        .load(&mut pool.get()?)?;
    for (id, customer, cents, paid, number) in all {
        let number = number.map_or("-".to_owned(), |number| number.to_string());
        let paid = if paid { "paid" } else { "open" };
        println!("{id:>5}  number {number:>5}  {paid}  {cents:>8}  {customer}");
    }
    Ok(())
}
