//! What docs/promises.md names in code must be there: a file (`src/lease.rs`), or a test as `module::case`.
//!
//! A module is a file below `tests` or `src`, by its name alone. A case is a function in it, or a name in the list of
//! cases that it makes tests of. A comment that names the case does not count.

use crate::Outcome;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/promises.md";

pub fn check() -> Outcome {
    let mut sources = Vec::new();
    for folder in ["tests", "src"] {
        collect(Path::new(folder), &mut sources)?;
    }
    let page = read(Path::new(PAGE))?;
    let missing: Vec<String> = names(&page)
        .filter(|(_, name)| !is_there(name, &sources))
        .map(|(line, name)| {
            format!("{PAGE}:{line}: `{name}` is not there; name what it is called now")
        })
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(missing.join("\n"))
    }
}

/// A file by the name of its module, and its text.
type Source = (String, String);

fn collect(folder: &Path, sources: &mut Vec<Source>) -> Outcome {
    let entries =
        fs::read_dir(folder).map_err(|e| format!("cannot read {}: {e}", folder.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push((module(&path), read(&path)?));
        }
    }
    Ok(())
}

fn module(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

/// The files and tests that stand in backticks, with the numbers of their lines.
fn names(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = page.lines().zip(1..);
    let words = lines.flat_map(|(line, number)| {
        line.split('`')
            .skip(1)
            .step_by(2)
            .map(move |word| (number, word))
    });
    words.filter(|(_, word)| !word.contains(' ') && (word.contains('/') || is_case(word)))
}

/// `module::case`, and not `module::` alone.
fn is_case(word: &str) -> bool {
    word.split_once("::")
        .is_some_and(|(_, case)| !case.is_empty())
}

fn is_there(name: &str, sources: &[Source]) -> bool {
    let Some((module, case)) = name.split_once("::") else {
        return PathBuf::from(name).exists();
    };
    sources
        .iter()
        .any(|(source, text)| source == module && code(text).any(|line| has_word(line, case)))
}

fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.split(|c| !is_part(c)).any(|other| other == word)
}

#[cfg(test)]
mod tests {
    use super::{is_there, names};

    #[test]
    fn files_and_cases_are_what_is_named() {
        let page =
            "See `src/lease.rs`,\n`cargo xtask test -- pin::`, `pin::` and `PIN`: `pin::it_holds`.";
        let expected = [(1, "src/lease.rs"), (2, "pin::it_holds")];
        assert_eq!(names(page).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_case_is_a_whole_word_of_its_module() {
        let sources = [(
            "pin".to_owned(),
            "/// Not like `gone`.\npub async fn it_holds(world: &World) {}".to_owned(),
        )];
        assert!(is_there("pin::it_holds", &sources));
        for gone in [
            "pin::it_hold",
            "pin::holds",
            "fence::it_holds",
            "pin::gone",
            "src/gone.rs",
        ] {
            assert!(!is_there(gone, &sources), "{gone}");
        }
        assert!(
            is_there("src/promises.rs", &sources),
            "relative to the package in its tests"
        );
    }
}
