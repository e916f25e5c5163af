//! Amounts, ids and times as people read them.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use soma_proto::Amount;

/// An amount in text.
pub(crate) fn soma(shannons: u64) -> String {
    Amount::from_shannons(shannons).to_short_string()
}

/// An amount that moves: in SOMA, the exact shannons beside it.
pub(crate) fn exact(shannons: u64) -> String {
    format!("{} ({shannons} shannons)", soma(shannons))
}

/// A change of a balance, with its sign.
pub(crate) fn signed(shannons: i128) -> String {
    let sign = if shannons < 0 { '-' } else { '+' };
    let size = u64::try_from(shannons.unsigned_abs()).unwrap_or(u64::MAX);
    format!("{sign}{} ({shannons:+} shannons)", soma(size))
}

/// The first ten and the last six characters of an id.
pub(crate) fn short(id: impl ToString) -> String {
    let id = id.to_string();
    match id.char_indices().count() {
        0..=17 => id,
        _ => format!("{}…{}", &id[..10], &id[id.len() - 6..]),
    }
}

/// A commission rate, in percent.
pub(crate) fn percent(basis_points: u64) -> String {
    format!("{}.{:02} %", basis_points / 100, basis_points % 100)
}

/// A number of bytes with a unit.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} bytes");
    }
    let mut value = count as f64;
    let mut unit = "";
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// A number of bytes with a unit, the exact number beside it.
pub(crate) fn exact_bytes(count: u64) -> String {
    match count {
        0..1024 => bytes(count),
        _ => format!("{} ({count} bytes)", bytes(count)),
    }
}

/// How many there are of something.
pub(crate) fn count(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        many => format!("{many} {noun}s"),
    }
}

/// Foreign text without what a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A span of time, as precise as its size allows.
pub(crate) fn duration(span: Duration) -> String {
    match span.as_secs_f64() {
        seconds if seconds < 0.0995 => format!("{:.1} ms", seconds * 1e3),
        seconds if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        seconds if seconds < 60.0 => format!("{seconds:.2} s"),
        seconds if seconds < 7200.0 => format!("{:.1} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}

/// A point in time for programs: RFC 3339 in UTC.
pub(crate) fn rfc3339(unix_ms: u64) -> Option<String> {
    let ms = i64::try_from(unix_ms).ok()?;
    Timestamp::from_millisecond(ms).ok().map(|time| time.to_string())
}

/// A point in time for people: local time with its offset.
pub(crate) fn local_time(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| format!("{unix_ms} ms after 1970"), local)
}

/// RFC 3339 in local time.
pub(crate) fn local_text(rfc3339: &str) -> String {
    rfc3339.parse().map_or_else(|_| rfc3339.to_owned(), local)
}

fn local(time: Timestamp) -> String {
    time.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_amounts_have_a_letter() {
        for (shannons, text) in [
            (0, "0 SOMA"),
            (100_000, "0.0001 SOMA"),
            (1_500_000_000, "1.5 SOMA"),
            (999_999_999_999, "999.999999999 SOMA"),
            (1_500_000_000_000, "1.50K SOMA"),
            (999_999_999_999_999, "999.99K SOMA"),
            (300_000_000_000_000, "300.00K SOMA"),
            (10_000_000_000_000_000, "10.00M SOMA"),
            (u64::MAX, "18.44B SOMA"),
        ] {
            assert_eq!(soma(shannons), text);
        }
    }

    #[test]
    fn changes_carry_their_sign() {
        assert_eq!(signed(-1_000), "-0.000001 SOMA (-1000 shannons)");
        assert_eq!(signed(2_000_000_000), "+2 SOMA (+2000000000 shannons)");
    }

    #[test]
    fn ids_are_cut_in_the_middle() {
        let id = format!("0x{}", "ab".repeat(32));
        assert_eq!(short(&id), "0xabababab…ababab");
        assert_eq!(short("me"), "me");
    }

    #[test]
    fn rates_are_percentages() {
        assert_eq!(percent(1000), "10.00 %");
        assert_eq!(percent(5), "0.05 %");
    }

    #[test]
    fn times_for_programs_are_utc() {
        assert_eq!(rfc3339(0).unwrap(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn spans_and_sizes_have_units() {
        assert_eq!(duration(Duration::from_micros(1500)), "1.5 ms");
        assert_eq!(duration(Duration::from_millis(250)), "250 ms");
        assert_eq!(duration(Duration::from_millis(2500)), "2.50 s");
        assert_eq!(bytes(64 << 20), "64.0 MiB");
        assert_eq!(bytes(12), "12 bytes");
    }
}
