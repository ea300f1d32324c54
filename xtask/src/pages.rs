//! The Markdown of the repository, so that it reads well on a code host, on a registry and in rustdoc alike.
//!
//! - README.md and docs/*.md are read in all three: nothing that only one of them hides or resolves, no line that rustdoc
//!   would hide, no path of Rust and no relative path as a link.
//! - A link to docs.rs is looked up in what `cargo doc` has just written, its `#anchor` too. So rename first, and the
//!   links that are stale then are named here.
//! - Other pages are read in the repository, where relative links work if the files exist.

use crate::{Outcome, shell};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CRATE: &str = "https://docs.rs/diesel-locks/";
const PAGES: &str = "https://docs.rs/diesel-locks/latest/diesel_locks/";
/// The languages of blocks. rustdoc takes a block without one for Rust, and so would run it.
const LANGUAGES: [&str; 5] = ["rust", "toml", "sh", "sql", "text"];

/// Checks every page; `documentation` is the folder that `cargo doc` wrote for the crate.
pub fn check(documentation: &Path) -> Outcome {
    let mut faults = Vec::new();
    for page in pages()? {
        let text = read(&page)?;
        let place = |(line, fault): (usize, String)| format!("{}:{line}: {fault}", page.display());
        if is_published(&page) {
            let all = hidden(&text)
                .chain(languages(&text))
                .chain(undefined(&text));
            faults.extend(all.map(place));
        }
        let broken = links(&text).into_iter().filter_map(|(line, target)| {
            Some((line, broken(&page, &text, target, documentation)?))
        });
        faults.extend(broken.map(place));
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.join("\n"))
    }
}

/// Every page that is part of the repository, or will be with the next commit.
fn pages() -> Outcome<Vec<PathBuf>> {
    let known = [
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "*.md",
    ];
    let pages = shell::output(Command::new("git").args(known))?;
    Ok(pages
        .lines()
        .map(PathBuf::from)
        .filter(|page| page.exists())
        .collect())
}

/// Whether it is part of the package and of its documentation, and so is read outside of the repository.
fn is_published(page: &Path) -> bool {
    page == Path::new("README.md") || page.starts_with("docs")
}

/// The lines of a page with their numbers, and the language of the block that they stand in.
fn lines(text: &str) -> impl Iterator<Item = (usize, Option<&str>, &str)> {
    let mut block = None;
    text.lines().enumerate().map(move |(above, line)| {
        let within = block;
        if let Some(language) = line.trim_start().strip_prefix("```") {
            block = if block.is_none() {
                Some(language)
            } else {
                None
            };
        }
        (above + 1, within, line)
    })
}

fn hidden(text: &str) -> impl Iterator<Item = (usize, String)> {
    lines(text).filter_map(|(number, block, line)| {
        let code = line.trim_start();
        let hides = block == Some("rust") && (code == "#" || code.starts_with("# "));
        let fault =
            "only rustdoc hides this line: its place is tests/documentation/documentation.rs";
        hides.then(|| (number, fault.to_owned()))
    })
}

fn languages(text: &str) -> impl Iterator<Item = (usize, String)> {
    lines(text).filter_map(|(number, block, line)| {
        let language = line.trim_start().strip_prefix("```")?;
        let unknown = block.is_none() && !LANGUAGES.contains(&language);
        unknown.then(|| {
            (
                number,
                format!("a block is one of: {}", LANGUAGES.join(", ")),
            )
        })
    })
}

/// The targets of a page's links with the numbers of their lines: `[…](target)` and `[…]: target`.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    for (number, _, line) in lines(text).filter(|(_, block, _)| block.is_none()) {
        for prose in line.split('`').step_by(2) {
            let targets = prose.split("](").skip(1);
            links.extend(targets.filter_map(|rest| Some((number, rest.split_once(')')?.0))));
        }
        if let Some((_, target)) = line
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("]: "))
        {
            links.push((number, target));
        }
    }
    links
}

/// The labels in brackets to which no `[label]: target` belongs: code hosts then show the brackets.
fn undefined(text: &str) -> impl Iterator<Item = (usize, String)> {
    let definition = |line: &&str| line.starts_with('[') && line.contains("]: ");
    let defined: Vec<&str> = text.lines().filter(definition).collect();
    let prose = lines(text).filter(|(_, block, _)| block.is_none());
    let labels = prose.flat_map(|(number, _, line)| {
        let labels = labels(line).into_iter();
        labels.map(move |label| (number, label))
    });
    labels.filter_map(move |(number, label)| {
        let known = defined
            .iter()
            .any(|line| line.starts_with(&format!("[{label}]: ")));
        (!known).then(|| {
            (
                number,
                format!("[{label}]: define it at the end of the page"),
            )
        })
    })
}

/// `a` and `b` in "[a], [words][b] and [words](target)".
fn labels(line: &str) -> Vec<String> {
    // Brackets within code are code.
    let words = line.split('`').enumerate();
    let words = words.map(|(n, word)| {
        if n % 2 == 1 {
            word.replace(['[', ']'], "")
        } else {
            word.to_owned()
        }
    });
    let line = words.collect::<Vec<_>>().join("`");
    let (mut labels, mut rest) = (Vec::new(), &*line);
    while let Some((label, after)) = rest
        .split_once('[')
        .and_then(|(_, inside)| inside.split_once(']'))
    {
        if !after.starts_with(['(', '[']) {
            labels.push(label.to_owned());
        }
        rest = after;
    }
    labels
}

/// What is wrong with a link of that page.
fn broken(page: &Path, text: &str, target: &str, documentation: &Path) -> Option<String> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    if let Some(file) = path.strip_prefix(PAGES) {
        return broken_in(&documentation.join(file), anchor, target);
    }
    if path.starts_with(CRATE) {
        return Some(format!("{target}: link to a page below {PAGES}"));
    }
    if path.starts_with("https://") {
        return None; // somebody else's, and there may be no network
    }
    if path.is_empty() {
        let known = headings(text).any(|heading| heading == anchor);
        return (!known).then(|| format!("#{anchor}: no such heading on this page"));
    }
    if is_published(page) {
        return Some(format!(
            "{target}: works in one rendering only; link to {PAGES}…, or name it as code"
        ));
    }
    let file = page.parent().unwrap_or(Path::new("")).join(path);
    (!file.exists()).then(|| format!("{target}: no such file"))
}

fn broken_in(file: &Path, anchor: &str, target: &str) -> Option<String> {
    let Ok(html) = fs::read_to_string(file) else {
        return Some(format!("{target}: cargo doc writes no {}", file.display()));
    };
    let found = anchor.is_empty() || html.contains(&format!("id=\"{anchor}\""));
    (!found).then(|| format!("{target}: no #{anchor} in {}", file.display()))
}

/// The anchors that code hosts and rustdoc give to headings.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let headings = lines(text).filter(|(_, block, _)| block.is_none());
    headings.filter_map(|(_, _, line)| {
        let title = line.strip_prefix('#')?.trim_start_matches('#').trim();
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        Some(kept.collect::<String>().replace(' ', "-").to_lowercase())
    })
}

fn read(page: &Path) -> Outcome<String> {
    fs::read_to_string(page).map_err(|e| format!("cannot read {}: {e}", page.display()))
}

#[cfg(test)]
mod tests {
    use super::{broken, headings, hidden, languages, links, undefined};
    use std::path::Path;

    const PAGE: &str = "\
# Title, of a page

See [one](#title-of-a-page) and `[no](link)`, [`two`](docs/two.md).

```rust
# hidden();
#[shown]
[code](in a block)
```
```
untold
```

[three]: https://docs.rs/diesel-locks/latest/diesel_locks/gone.html
";

    #[test]
    fn a_link_is_found_in_prose_and_at_the_end_but_not_in_code() {
        let three = "https://docs.rs/diesel-locks/latest/diesel_locks/gone.html";
        let expected = [(3, "#title-of-a-page"), (3, "docs/two.md"), (14, three)];
        assert_eq!(links(PAGE), expected);
    }

    #[test]
    fn a_hidden_line_and_a_block_without_a_language_are_found() {
        assert_eq!(hidden(PAGE).map(|(line, _)| line).collect::<Vec<_>>(), [6]);
        assert_eq!(
            languages(PAGE).map(|(line, _)| line).collect::<Vec<_>>(),
            [10]
        );
    }

    #[test]
    fn a_label_is_a_link_if_it_is_defined() {
        let page = "[`a`], [b], [so][b] and [c](#c), `#[d]`.\n\n[b]: #b\n";
        let missing: Vec<(usize, String)> = undefined(page).collect();
        assert_eq!(missing.len(), 1, "{missing:?}");
        assert!(missing[0].1.starts_with("[`a`]: "), "{missing:?}");
    }

    #[test]
    fn a_link_is_broken_where_a_rendering_cannot_follow_it() {
        let is_broken = |page: &str, target: &str| {
            broken(Path::new(page), PAGE, target, Path::new("src")).is_some()
        };
        let docs = |rest: &str| format!("https://docs.rs/diesel-locks/{rest}");
        assert!(!is_broken("README.md", "#title-of-a-page"));
        assert!(is_broken("README.md", "#title"));
        assert!(is_broken("README.md", "crate::Lock"));
        assert!(is_broken("README.md", "src/main.rs"), "dead on a registry");
        assert!(!is_broken("OTHER.md", "src/main.rs"));
        assert!(is_broken("OTHER.md", "src/gone.rs"));
        assert!(!is_broken("README.md", "https://diesel.rs"));
        assert!(!is_broken(
            "README.md",
            &docs("latest/diesel_locks/main.rs")
        ));
        assert!(is_broken(
            "README.md",
            &docs("latest/diesel_locks/main.rs#method.gone")
        ));
        assert!(is_broken(
            "README.md",
            &docs("latest/diesel_locks/gone.html")
        ));
        assert!(is_broken("README.md", &docs("0.1.0/diesel_locks/main.rs")));
    }

    #[test]
    fn an_anchor_is_what_hosts_make_of_a_heading() {
        let page = "## What it is — `run`, and more\n### At least, at most\n";
        let expected = ["what-it-is--run-and-more", "at-least-at-most"];
        assert_eq!(headings(page).collect::<Vec<_>>(), expected);
    }
}
