//! `xtask-surface FILE`: prints the public items of a crate, one on each line. rustdoc wrote FILE, as JSON.
//!
//! People review the list. So it leaves out what follows from something else:
//!
//! - blanket impls and auto traits, which the compiler adds
//! - the functions and constants of a trait's impl: the trait has them, and the line of the impl names the trait
//! - the impls that Diesel's `table!` writes for the module `schema`, except the type of each column
//! - the paths of the standard library's types

use public_api::{Builder, PublicItem};
use std::collections::HashMap;
use std::fs;
use std::process::ExitCode;

/// The module that `table!` writes.
const SCHEMA: &str = "diesel_locks::schema::";

fn main() -> ExitCode {
    let file = std::env::args().nth(1).unwrap_or_default();
    match surface(&file) {
        Ok(lines) => {
            println!("{}", lines.join("\n"));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn surface(file: &str) -> Result<Vec<String>, String> {
    let json = fs::read_to_string(file).map_err(|e| format!("cannot read {file}: {e}"))?;
    known_format(&json)?;
    let items = Builder::from_rustdoc_json(file)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build()
        .map_err(|e| format!("cannot read {file}: {e}"))?;
    let lines: Vec<_> = items.items().map(|item| (item, line(item))).collect();
    let impls = lines.iter().filter(|(_, line)| is_impl(line));
    let impls: HashMap<_, _> = impls.map(|(item, line)| (item.id(), line)).collect();
    let listed = lines.iter().filter(|(item, line)| {
        let of = item.parent_id().and_then(|id| impls.get(&id));
        is_listed(line, of.map(|of| of.as_str()))
    });
    Ok(listed.map(|(_, line)| without_paths_of_std(line)).collect())
}

/// An error for other formats, because public-api may read one of them without an error, and wrongly.
fn known_format(json: &str) -> Result<(), String> {
    let known = rustdoc_types::FORMAT_VERSION;
    if json.contains(&format!("\"format_version\":{known}}}")) {
        return Ok(());
    }
    Err(format!(
        "rustdoc of this Rust does not write format {known} of its JSON.\nUse Rust 1.95, or change public-api and \
         rustdoc-types in xtask/surface/Cargo.toml to the versions for this Rust."
    ))
}

/// The item as public-api renders it. For `Trait<Item: Bound>` that is without the colon.
fn line(item: &PublicItem) -> String {
    let mut line = String::new();
    for token in item.tokens() {
        if line.ends_with(is_of_word) && token.text().starts_with(is_of_word) {
            line += ": ";
        }
        line += token.text();
    }
    line
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether the line is the impl of a trait.
fn is_impl(line: &str) -> bool {
    line.starts_with("impl") && line.contains(" for ")
}

/// `of` is the impl of a trait that the item belongs to.
fn is_listed(line: &str, of: Option<&str>) -> bool {
    match of {
        Some(of) if of.contains(SCHEMA) => line.contains("::SqlType = "),
        Some(_) => line.starts_with("pub type "),
        None => !(is_impl(line) && line.contains(SCHEMA)),
    }
}

/// `Option<Duration>` for `core::option::Option<core::time::Duration>`.
fn without_paths_of_std(line: &str) -> String {
    let words = line.split_inclusive(|c| !is_of_word(c) && c != ':');
    let short = words.map(|word| {
        let is_of_std = ["core::", "alloc::", "std::"]
            .iter()
            .any(|path| word.starts_with(path));
        match word.rsplit_once("::") {
            Some((_, name)) if is_of_std => name,
            _ => word,
        }
    });
    short.collect()
}

#[cfg(test)]
mod tests {
    use super::{is_listed, known_format, without_paths_of_std};

    #[test]
    fn another_format_is_an_error() {
        let json = |format| format!("{{\"root\":1,\"format_version\":{format}}}");
        assert!(known_format(&json(rustdoc_types::FORMAT_VERSION)).is_ok());
        assert!(known_format(&json(rustdoc_types::FORMAT_VERSION + 1)).is_err());
        assert!(known_format(&json(5)).is_err());
    }

    #[test]
    fn the_impl_of_a_trait_is_listed_with_its_types_and_without_its_functions() {
        let of = "impl core::str::FromStr for diesel_locks::Lease";
        let is_listed_of = |line| is_listed(line, Some(of));
        assert!(is_listed(of, None));
        assert!(is_listed_of(
            "pub type diesel_locks::Lease::Err = diesel_locks::Error"
        ));
        assert!(!is_listed_of(
            "pub fn diesel_locks::Lease::from_str(&str) -> Self"
        ));
        assert!(is_listed(
            "pub fn diesel_locks::Lease::fence(&self) -> i64",
            None
        ));
    }

    #[test]
    fn a_column_is_listed_with_its_type_and_without_its_impls() {
        let of = "impl diesel::Expression for diesel_locks::schema::diesel_locks::fence";
        let is_listed_of = |line| is_listed(line, Some(of));
        assert!(is_listed(
            "pub struct diesel_locks::schema::diesel_locks::fence",
            None
        ));
        assert!(is_listed_of(
            "pub type diesel_locks::schema::diesel_locks::fence::SqlType = BigInt"
        ));
        assert!(!is_listed_of(
            "pub type diesel_locks::schema::diesel_locks::fence::Output = X"
        ));
        assert!(!is_listed(of, None));
    }

    #[test]
    fn only_types_of_std_lose_their_paths() {
        let line = "pub fn a::f(core::option::Option<b::C>) -> &<T as core::ops::Deref>::Target where T: core::marker::Send";
        let short = "pub fn a::f(Option<b::C>) -> &<T as Deref>::Target where T: Send";
        assert_eq!(without_paths_of_std(line), short);
    }
}
