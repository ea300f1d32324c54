//! Cuts the blocks of Rust out of README.md and docs/*.md, for `documentation.rs` to run.
//!
//! A block is named after its page and the heading above it: `README/first-example`, and `README/first-example-2` for
//! the next under that heading. It becomes `NAME.rs`, an expression in braces, and `NAME.items.rs`, without braces. A line
//! has the number that it has in Markdown, so that the compiler's messages point to the place to mend.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages = vec![root.join("README.md")];
    for entry in fs::read_dir(root.join("docs"))? {
        pages.push(entry?.path());
    }
    println!("cargo::rerun-if-changed=../../docs");
    let mut names = Vec::new();
    for page in &pages {
        println!("cargo::rerun-if-changed={}", page.display());
        for (name, line, code) in blocks(page)? {
            let above = "\n".repeat(line);
            let file = out.join(&name);
            fs::create_dir_all(file.parent().expect("below OUT_DIR"))?;
            fs::write(file.with_extension("rs"), format!("{above}{{\n{code}}}\n"))?;
            fs::write(file.with_extension("items.rs"), format!("{above}\n{code}"))?;
            names.push(name);
        }
    }
    fs::write(out.join("names.rs"), format!("{names:?}"))
}

/// The name, the lines above, and the code of each block of a page.
fn blocks(page: &Path) -> io::Result<Vec<(String, usize, String)>> {
    let stem = page.file_stem().unwrap_or_default().to_string_lossy();
    let text = fs::read_to_string(page)?;
    let mut lines = text.lines().enumerate();
    let mut heading = String::new();
    let mut blocks: Vec<(String, usize, String)> = Vec::new();
    while let Some((number, line)) = lines.next() {
        if let Some(title) = line.strip_prefix('#') {
            heading = slug(title);
        } else if let Some(language) = line.strip_prefix("```") {
            let code = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| *line != "```");
            let code: String = code.flat_map(|line| [line, "\n"]).collect();
            if language == "rust" {
                let first = format!("{stem}/{heading}");
                let is_taken = |name: &String| blocks.iter().any(|(other, ..)| other == name);
                let more = (2..).map(|n| format!("{first}-{n}"));
                let mut names = std::iter::once(first.clone()).chain(more);
                let name = names.find(|name| !is_taken(name)).expect("endless");
                blocks.push((name, number, code));
            }
        }
    }
    Ok(blocks)
}

/// `## By itself` is `by-itself`.
fn slug(title: &str) -> String {
    let words = title
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}
