//! An audit as a document.

use std::fmt::Write as _;

use super::{Audit, Audited};
use crate::Severity;

impl Audit {
    /// The audit as Markdown: a summary, then what is wrong, model by model.
    /// Foreign text is made harmless.
    pub fn to_markdown(&self) -> String {
        let mut page = String::from("# Audit of registered models\n\n");
        // Writing to a string cannot fail.
        let _ = writeln!(page, "{} models, {} with something wrong.\n", self.total, self.faulty);
        let _ = writeln!(page, "| model | status | size in bytes | result |");
        let _ = writeln!(page, "| --- | --- | ---: | --- |");
        for model in &self.models {
            let size = model.weights_size.map_or_else(|| "-".to_owned(), |size| size.to_string());
            let result = if model.ok { "good" } else { "**wrong**" };
            let _ =
                writeln!(page, "| `{}` | {} | {size} | {result} |", model.model_id, model.status);
        }
        for model in self.models.iter().filter(|model| !model.findings.findings.is_empty()) {
            section(&mut page, model);
        }
        page
    }
}

fn section(page: &mut String, model: &Audited) {
    let _ = writeln!(page, "\n## `{}`\n\nOwner `{}`", model.model_id, model.owner);
    if let Some(url) = &model.weights_url {
        let _ = writeln!(page, "\nWeights {}", harmless(url));
    }
    page.push('\n');
    for finding in &model.findings.findings {
        let word = match finding.severity {
            Severity::Error => "wrong",
            Severity::Warning => "doubtful",
            Severity::Notice => "note",
        };
        let _ = writeln!(page, "* {word}, {}: {}", finding.check, harmless(&finding.message));
    }
}

/// Text that is only text: no markup, no links, no lines of its own.
fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            letter if letter.is_control() => harmless.push(' '),
            '<' => harmless.push_str("&lt;"),
            '>' => harmless.push_str("&gt;"),
            '&' => harmless.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '#' | '|' | '!' | '~' => {
                harmless.push('\\');
                harmless.push(letter);
            }
            letter => harmless.push(letter),
        }
    }
    harmless
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_no_markup() {
        let text = harmless("a\n# b <script> [x](javascript:y) `c` |\u{1b}[31m");
        assert_eq!(text, "a \\# b &lt;script&gt; \\[x\\]\\(javascript:y\\) \\`c\\` \\| \\[31m");
    }
}
