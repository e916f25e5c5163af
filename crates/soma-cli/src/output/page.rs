//! The text of a report: lines, fields, tables.

use std::fmt::Write as _;

/// Succeeded, active.
pub(crate) const GREEN: &str = "32";
/// Failed.
pub(crate) const RED: &str = "31";
/// Needs attention.
pub(crate) const YELLOW: &str = "33";
/// Headings.
pub(crate) const BOLD: &str = "1";

/// Puts a colour around text, if there is colour.
pub(crate) fn paint(text: &str, code: &str, colour: bool) -> String {
    if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Text that grows line by line.
#[derive(Debug)]
pub(crate) struct Page {
    text: String,
    colour: bool,
}

impl Page {
    /// An empty page.
    pub(crate) const fn new(colour: bool) -> Self {
        Self { text: String::new(), colour }
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    /// Adds an empty line.
    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// Adds a line in colour.
    pub(crate) fn painted(&mut self, line: impl AsRef<str>, code: &str) {
        let line = paint(line.as_ref(), code, self.colour);
        self.line(line);
    }

    /// Adds a heading.
    pub(crate) fn heading(&mut self, line: impl AsRef<str>) {
        self.painted(line, BOLD);
    }

    /// Adds lines of a name and a value, the values in one column.
    pub(crate) fn fields(&mut self, fields: &[(&str, String)]) {
        let width = fields.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
        for (name, value) in fields {
            let _ = writeln!(self.text, "  {name:width$}  {value}");
        }
    }

    /// Adds a table, its columns as wide as their widest cell.
    pub(crate) fn table<const N: usize>(&mut self, head: [&str; N], rows: &[[String; N]]) {
        let widths: [usize; N] = std::array::from_fn(|column| {
            let cells = rows.iter().map(|row| width(&row[column]));
            cells.chain([width(head[column])]).max().unwrap_or(0)
        });
        let line = |cells: [&str; N]| {
            let mut text = String::from(" ");
            for (cell, width) in cells.iter().zip(widths) {
                let _ = write!(text, " {cell:width$} ");
            }
            text.trim_end().to_owned()
        };
        self.heading(line(head));
        for row in rows {
            self.line(line(std::array::from_fn(|column| row[column].as_str())));
        }
    }

    /// The finished text.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::Page;

    #[test]
    fn a_table_is_as_wide_as_its_cells() {
        let mut page = Page::new(false);
        page.table(["id", "status"], &[["0x1234".into(), "Active".into()]]);
        assert_eq!(page.finish(), "  id      status\n  0x1234  Active\n");
    }

    #[test]
    fn colour_only_where_it_is_wanted() {
        let painted = |colour| {
            let mut page = Page::new(colour);
            page.painted("ok", super::GREEN);
            page.finish()
        };
        assert_eq!(painted(false), "ok\n");
        assert_eq!(painted(true), "\u{1b}[32mok\u{1b}[0m\n");
    }
}
