//! The `Range` header, RFC 9110 section 14.

/// What part of a file a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything: no range, several ranges, or a header that means nothing.
    Whole,
    /// `length` bytes from `start`; at least one.
    Part {
        /// Bytes from the start of the file.
        start: u64,
        /// Number of bytes.
        length: u64,
    },
    /// A range that begins behind the end.
    Unsatisfiable,
}

/// Reads a `Range` header for a file of `size` bytes.
///
/// One range is served. Several are answered with the whole file, as the
/// standard allows; so is a header that does not parse.
pub(super) fn parse(header: Option<&str>, size: u64) -> Wanted {
    let Some((first, last)) = header
        .and_then(|text| text.strip_prefix("bytes="))
        .and_then(|range| range.trim().split_once('-'))
    else {
        return Wanted::Whole;
    };
    match (number(first), number(last)) {
        (Some(start), Some(end)) if start <= end => part(start, end, size),
        (Some(start), None) if last.is_empty() => part(start, u64::MAX, size),
        (None, Some(0)) if first.is_empty() => Wanted::Unsatisfiable,
        (None, Some(suffix)) if first.is_empty() => {
            part(size.saturating_sub(suffix), u64::MAX, size)
        }
        _ => Wanted::Whole,
    }
}

fn part(start: u64, end: u64, size: u64) -> Wanted {
    if start >= size {
        return Wanted::Unsatisfiable;
    }
    Wanted::Part { start, length: end.min(size - 1) - start + 1 }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_standard() {
        // RFC 9110, 14.1.2: a representation of 10 000 bytes.
        let part = |start, length| Wanted::Part { start, length };
        for (header, expected) in [
            ("bytes=0-499", part(0, 500)),
            ("bytes=500-999", part(500, 500)),
            ("bytes=-500", part(9500, 500)),
            ("bytes=9500-", part(9500, 500)),
            ("bytes=0-0", part(0, 1)),
            ("bytes=9999-99999999999999999999999", part(9999, 1)),
            ("bytes=-20000", part(0, 10000)),
            ("bytes=10000-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=0-0,-1", Wanted::Whole),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
        ] {
            assert_eq!(parse(Some(header), 10_000), expected, "{header}");
        }
        assert_eq!(parse(None, 10_000), Wanted::Whole);
        assert_eq!(parse(Some("bytes=0-"), 0), Wanted::Unsatisfiable);
    }
}
