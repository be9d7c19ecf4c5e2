//! Unit files, and the table they are compiled to.

use ettan_check::{Style, render};
use ettan_core::{Catalog, Unit};
use ettan_table::write::{Entry, encode};
use ettan_table::{Launch, Table, crc32, is_name};
use ettan_unit::{Diagnostic, Severity};

pub(super) const TOML_WORDS: &[&[u8]] = &[
    b"[",
    b"]",
    b"[[",
    b"]]",
    b"{",
    b"}",
    b"=",
    b".",
    b",",
    b"\n",
    b"\r\n",
    b"\r",
    b"\"",
    b"'",
    b"\"\"\"",
    b"'''",
    b"#",
    b"\\",
    b"\\u0000",
    b"%",
    b"%%",
    "\u{feff}".as_bytes(),
    "ä".as_bytes(),
    b"\0",
    b"unit",
    b"service",
    b"exec-start",
    b"after",
    b"user",
    b"-1",
    b"0x",
    b"1e999",
    b"true",
    b"[service]\n",
    b"type = \"forking\"\n",
    b"pid-file = \"/run/",
    b"network:eth0:address",
    b"1979-05-27T07:32:00Z",
    b"99999999999999999999",
    b"1h 5min",
];

/// One file makes a unit or errors, never both and never neither; each thing said can be shown
/// on a terminal and says where; a unit fits a table that can be read.
pub(super) fn unit_file(bytes: &[u8]) -> bool {
    const FILE: &str = "/etc/units/a.toml";
    let (table, diagnostics) = ettan_unit::read_alone("a", FILE, bytes.to_vec());
    let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    assert_eq!(table.is_none(), errors > 0, "{diagnostics:?}");
    for diagnostic in &diagnostics {
        assert!(diagnostic.to_string().starts_with(FILE), "{diagnostic}");
        says_where(diagnostic);
    }
    // One is enough: drawing takes longer than reading.
    if let Some(diagnostic) = diagnostics.first() {
        let drawn = render(&diagnostic.clone().into(), Style { colour: false, columns: 80 });
        assert!(!drawn.chars().any(|c| c.is_control() && c != '\n'), "{drawn:?}");
    }
    let Some(table) = table else { return false };
    let table = Table::read(&table).expect("what the loader writes is a table");
    let is_instance = |at| table.name(at) != Some("a") && table.group(at) == "a";
    assert!(table.name(0) == Some("a") && table.len() == 1 || (0..table.len()).all(is_instance));
    visit(&table);
    true
}

pub(super) const OVERRIDE_WORDS: &[&[u8]] = &[
    b"[units]\n",
    b"[environment]\r\n",
    b"rescue = true\n",
    b" = \"off\"\n",
    b" = \"on\"\r\n",
    b"\"getty@tty1\"",
    b"x-",
    b"{",
    b".",
    "\u{feff}".as_bytes(),
    b"\0",
];

/// What is said says where, and can be shown. Taken for good: something is asked for, and nothing wrong.
pub(super) fn override_file(bytes: &[u8]) -> bool {
    const FILE: &str = "/boot/firmware/ettan/a.toml";
    let (wishes, diagnostics) = ettan_unit::read_override(FILE, bytes.to_vec());
    for diagnostic in &diagnostics {
        assert!(diagnostic.to_string().starts_with(FILE), "{diagnostic}");
        says_where(diagnostic);
    }
    wishes > 0 && diagnostics.is_empty()
}

fn says_where(diagnostic: &Diagnostic) {
    let text = diagnostic.to_string();
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    assert!(!text.contains('\n') && text.len() < 2_000, "{text}");
    match &diagnostic.place {
        Some(place) => {
            let (lines, span) = place.excerpt();
            assert!(place.line > 0 && place.column > 0 && lines.get(span).is_some(), "{text}");
        }
        None => assert!(text.contains("more errors are not shown"), "says no place: {text}"),
    }
}

/// Bytes of magic, version, length and checksum.
const HEAD: usize = 20;

/// Rubbish is refused; what is accepted is consistent in every corner, and can be written again
/// as the same. A checksum put right leads past the first door.
pub(super) fn table(bytes: &[u8]) -> bool {
    let accepted = read_table(bytes);
    let mut whole = bytes.to_vec();
    whole.resize(bytes.len().max(HEAD).next_multiple_of(4), 0);
    let (head, body) = whole.split_at_mut(HEAD);
    head[..8].copy_from_slice(b"ettantbl");
    head[8..12].copy_from_slice(&1_u32.to_le_bytes());
    head[12..16].copy_from_slice(&((HEAD + body.len()) as u32).to_le_bytes());
    head[16..].copy_from_slice(&crc32(body).to_le_bytes());
    read_table(&whole) || accepted
}

fn read_table(bytes: &[u8]) -> bool {
    if let Some(unchecked) = Table::view(bytes) {
        // Finds nothing, or something wrong, and never panics.
        for index in 0..unchecked.len().min(1_100) {
            let _ = (unchecked.unit(index), unchecked.launch(index).map(|launch| sizes(&launch)));
            let _ = (0..70).map_while(|nth| unchecked.need(index, nth)).count();
        }
        let _ = (unchecked.messages().count(), unchecked.index_of("a"));
    }
    let Ok(table) = Table::read(bytes) else { return false };
    visit(&table);
    write_again(&table);
    true
}

fn sizes(launch: &Launch<'_>) -> (usize, usize, usize) {
    (launch.argv.clone().count(), launch.envp.clone().count(), launch.groups.clone().count())
}

/// Looks into everything.
fn visit(table: &Table<'_>) {
    for index in 0..table.len() {
        let unit = table.unit(index).expect("a unit");
        let name = table.name(index).expect("a name");
        assert!(is_name(name) && unit.name == name);
        assert_eq!(table.index_of(name), Some(index));
        if let Some(launch) = table.launch(index) {
            let program = launch.argv.clone().next().expect("a program");
            assert!(program == launch.program && program.to_bytes().starts_with(b"/"));
            assert!(launch.working_directory.to_bytes().starts_with(b"/"));
            assert!(launch.umask <= 0o777);
            let _ = sizes(&launch);
        }
        let mut nth = 0;
        while table.need(index, nth).is_some() {
            nth += 1;
        }
    }
    let _ = table.messages().count();
}

/// What was read, written and read, is the same.
fn write_again(table: &Table<'_>) {
    let policy = |index| Unit { fingerprint: 0, ..table.unit(index).expect("a unit") };
    // What is needed may be named as missing, and be there.
    let entry = |index| Entry { needs: Vec::new(), ..Entry::copy(table, index).expect("a unit") };
    let entries: Vec<Entry> = (0..table.len()).map(entry).collect();
    let bytes = encode(&entries, &[]).expect("what can be read can be written");
    let again = Table::read(&bytes).expect("what was written can be read");
    assert_eq!(again.len(), table.len());
    for index in 0..table.len() {
        assert_eq!(Unit { fingerprint: 0, ..again.unit(index).expect("a unit") }, policy(index));
        assert_eq!(
            again.launch(index).map(|launch| sizes(&launch)),
            table.launch(index).map(|launch| sizes(&launch))
        );
    }
}
