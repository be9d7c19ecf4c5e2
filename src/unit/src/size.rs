//! Sizes as people write them: `"50M"`, `"1.5G"`, bytes.

use crate::diagnostic::Complaint;
use crate::reference::shown;

/// What a suffix multiplies with: powers of 1,024, as systemd and Supervisor have it.
const SUFFIXES: [(&str, u64); 10] = [
    ("KB", 1 << 10),
    ("MB", 1 << 20),
    ("GB", 1 << 30),
    ("KIB", 1 << 10),
    ("MIB", 1 << 20),
    ("GIB", 1 << 30),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("B", 1),
];

/// The number of bytes that `text` means.
pub(crate) fn parse(text: &str) -> Result<u64, Complaint> {
    let odd = || {
        Complaint::new(format!("`{}` is not a size", shown(text)))
            .hint("bytes, or for example \"512K\", \"50M\", \"1G\"")
    };
    let upper = text.trim().to_ascii_uppercase();
    let suffix = SUFFIXES.iter().find_map(|(suffix, by)| Some((upper.strip_suffix(suffix)?, *by)));
    let (digits, by) = suffix.unwrap_or((&upper, 1));
    let digits = digits.trim_end();
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || fraction.len() > 6 {
        return Err(odd());
    }
    let scale = u32::try_from(fraction.len()).ok().and_then(|places| 10_u64.checked_pow(places));
    let of_whole = whole.parse::<u64>().ok().and_then(|whole| whole.checked_mul(by));
    let of_fraction = fraction.parse::<u64>().ok().and_then(|part| part.checked_mul(by));
    let bytes = of_whole
        .zip(of_fraction)
        .zip(scale)
        .and_then(|((whole, part), scale)| whole.checked_add(part.checked_div(scale)?));
    // The largest is what the kernel takes for none at all.
    bytes.filter(|bytes| *bytes < u64::MAX).ok_or_else(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_or_powers_of_1024() {
        let cases = [
            ("0", Some(0)),
            ("1000000", Some(1_000_000)),
            ("1K", Some(1024)),
            ("50M", Some(52_428_800)),
            ("50 MB", Some(52_428_800)),
            ("1.5g", Some(1_610_612_736)),
            ("1GiB", Some(1 << 30)),
            ("17179869183G", Some(17_179_869_183 << 30)),
            ("17179869184G", None),
            ("", None),
            ("M", None),
            ("-1", None),
            ("1T1", None),
            ("1..5M", None),
            ("1e3", None),
            ("18446744073709551615", None),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse(text).ok(), bytes, "{text}");
        }
    }
}
