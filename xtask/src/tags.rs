//! Tags of rules in comments lead somewhere: each has a row in `docs/`.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use crate::ci::root;

/// Folders whose files may name rules.
const FOLDERS: &[&str] = &["crates", "docs", "fuzz/fuzz_targets", "tests"];
/// Endings of the files that people write.
const ENDINGS: &[&str] = &["md", "proto", "py", "rs"];
/// The tables of rules.
const TABLES: &[&str] = &["docs/network-rules.md", "docs/local-rules.md"];

/// Looks every tag up.
pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let root = root();
    let mut listed = BTreeSet::new();
    for table in TABLES {
        listed.extend(rows(&fs::read_to_string(root.join(table))?));
    }
    let mut problems = Vec::new();
    let mut count = 0;
    for folder in FOLDERS {
        for path in files(&root.join(folder))? {
            let text = fs::read_to_string(&path)?;
            for tag in tags(&text) {
                count += 1;
                if !listed.contains(tag) {
                    let path = path.strip_prefix(&root).unwrap_or(&path);
                    problems.push(format!("{}: {tag} is in no table", path.display()));
                }
            }
        }
    }
    println!("{count} tags of {} rules, {} problems", listed.len(), problems.len());
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
}

/// The tags that rows of a table begin with.
fn rows(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" |"))
        .filter(|(cell, _)| tags(cell).eq([*cell]))
        .map(|(cell, _)| cell.to_owned())
}

/// The tags in a text: `R-`, a section, a dot and a number, or `L-` and a
/// number.
fn tags(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
    text.split(move |letter| !is_part(letter)).map(|word| word.trim_end_matches('.')).filter(
        |word| {
            let is_number =
                |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            match (word.strip_prefix("R-"), word.strip_prefix("L-")) {
                (Some(rest), _) => {
                    rest.split_once('.').is_some_and(|(a, b)| is_number(a) && is_number(b))
                }
                (_, Some(rest)) => is_number(rest),
                _ => false,
            }
        },
    )
}

/// All files with such an ending in a folder and those below it.
fn files(folder: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|e| ENDINGS.iter().any(|ending| e == *ending)) {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_in_prose() {
        let text =
            "// Rows 9 (R-2.3, L-4). See R-2.12.\n//! `L-14`; not BSL-1.0, R-2, L-x or R-2.b.";
        assert!(tags(text).eq(["R-2.3", "L-4", "R-2.12", "L-14"]));
    }

    #[test]
    fn rows_begin_with_a_tag() {
        let text =
            "| rule | in short |\n| --- | --- |\n| L-1 | as R-2.3 |\n| L-2 R-1.1 | no |\nL-3";
        assert!(rows(text).eq(["L-1".to_owned()]));
    }
}
