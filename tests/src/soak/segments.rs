//! The segments of a log on a disk, as a power cut left them: whole lines, of which none is missing
//! between two of one boot. Knows only what docs/logs.md promises.

use std::fs;
use std::path::Path;

/// What is wrong with the log of a service that counts (`number 1`, `number 2`, …) in this folder.
pub(super) fn faults(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| name == "current" || name.starts_with('@'));
    names.sort();
    let (mut found, mut last) = (Vec::new(), None);
    for name in names {
        match fs::read(folder.join(&name)) {
            Ok(text) => found.extend(fault(&name, &text, &mut last)),
            Err(error) => found.push(format!("{name}: {error}")),
        }
    }
    found
}

/// The first fault of a segment. `last`: the number before.
fn fault(name: &str, text: &[u8], last: &mut Option<u64>) -> Option<String> {
    let mut lines = text.split(|&byte| byte == b'\n');
    // What follows the last line end: nothing, or half a line that the power left.
    let rest = lines.next_back().unwrap_or_default();
    if !rest.is_empty() && name != "current" {
        return Some(format!("{name}: ends with half a line: {}", rest.escape_ascii()));
    }
    lines.find_map(|line| {
        let bad = |why: &str| Some(format!("{name}: {why}: {}", line.escape_ascii()));
        let is_line = line.first_chunk::<25>().is_some_and(|stamp| {
            let time = stamp[4] == b'-' && stamp[10] == b'T' && stamp[23] == b'Z';
            time && b" +*<!=".contains(&stamp[24])
        });
        if !is_line {
            return bad("no line of a log");
        }
        let text = String::from_utf8_lossy(line.get(25..).unwrap_or_default());
        let number = text.strip_prefix("number ")?.parse().ok()?;
        let follows = number == 1 || last.is_none_or(|last| number == last + 1);
        *last = Some(number);
        if follows { None } else { bad("not the number that follows") }
    })
}

#[cfg(test)]
mod tests {
    use super::fault;

    const LINE: &str = "2026-11-21T01:02:03.456Z number ";

    #[test]
    fn a_segment_is_whole_lines_in_order() {
        let check = |name, text: &str, mut last| fault(name, text.as_bytes(), &mut last);
        let text = format!("2026-11-21T01:02:03.456Z*starting\n{LINE}7\n{LINE}8\n{LINE}1\n");
        assert_eq!(check("@1", &text, Some(6)), None);
        assert_eq!(check("@1", &text, None), None);
        assert!(check("@1", &text, Some(5)).is_some());
        let half = format!("{text}{LINE}");
        assert_eq!(check("current", &half, None), None);
        assert!(check("@1", &half, None).is_some());
        assert!(check("@1", &format!("{LINE}7\n{LINE}9\n"), None).is_some());
        assert!(
            check("current", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\n", None)
                .is_some()
        );
    }
}
