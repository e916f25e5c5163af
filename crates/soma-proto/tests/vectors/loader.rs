//! Reads the file once and runs every entry of a section as a named case.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::LazyLock;

use serde_json::Value;

static FILE: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../data/vectors.json")).expect("the file is JSON")
});

/// One entry, or a value inside one.
#[derive(Clone, Copy)]
pub(crate) struct Entry(pub(crate) &'static Value);

/// A whole section.
pub(crate) fn section(name: &str) -> Entry {
    Entry(FILE.get(name).unwrap_or_else(|| panic!("section {name}")))
}

/// Runs `case` on every entry and fails with the names of all that fail.
pub(crate) fn for_each(name: &str, expected_count: usize, case: impl Fn(Entry)) {
    let entries = section(name).list();
    let mut failed = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        if catch_unwind(AssertUnwindSafe(|| case(*entry))).is_err() {
            failed.push(format!("#{index} {}", entry.title()));
        }
    }
    println!("{name}: {} of {} cases hold", entries.len() - failed.len(), entries.len());
    assert!(failed.is_empty(), "{name}: these cases fail: {failed:#?}");
    assert_eq!(entries.len(), expected_count, "number of cases in {name}");
}

impl Entry {
    pub(crate) fn at(self, key: &str) -> Self {
        Self(self.0.get(key).unwrap_or_else(|| panic!("field {key} of {}", self.title())))
    }

    /// The value, unless it is absent or null.
    pub(crate) fn optional(self, key: &str) -> Option<Self> {
        self.0.get(key).filter(|value| !value.is_null()).map(Self)
    }

    pub(crate) fn list(self) -> Vec<Self> {
        self.0.as_array().expect("a list").iter().map(Self).collect()
    }

    pub(crate) fn text(self) -> &'static str {
        self.0.as_str().unwrap_or_else(|| panic!("{} is a text", self.0))
    }

    pub(crate) fn number(self) -> u64 {
        self.0.as_u64().unwrap_or_else(|| panic!("{} is a number", self.0))
    }

    pub(crate) fn parse<T: FromStr<Err: Debug>>(self) -> T {
        self.text().parse().unwrap_or_else(|e| panic!("{}: {e:?}", self.0))
    }

    /// Bytes from hex.
    pub(crate) fn hex(self) -> Vec<u8> {
        hex::decode(self.text()).unwrap_or_else(|e| panic!("{}: {e}", self.0))
    }

    fn title(self) -> String {
        ["name", "label", "text", "raw"]
            .iter()
            .find_map(|key| self.0.get(key)?.as_str())
            .map_or_else(|| self.0.to_string().chars().take(60).collect(), str::to_owned)
    }
}
