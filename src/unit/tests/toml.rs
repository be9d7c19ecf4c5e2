//! What TOML forbids is an error with its place; what it allows is none, or one of ours.
//!
//! The documents are made from the rules of TOML 1.0, chapter by chapter: each value stands in
//! every place where a value can be, and what concerns documents as a whole stands by itself.

use std::collections::BTreeSet;

use ettan_unit::{Diagnostic, Severity, read_alone};

/// As many as the public conformance suite of TOML has.
const VALID_AT_LEAST: usize = 268;
const INVALID_AT_LEAST: usize = 509;

const GOOD_VALUES: &[&str] = &[
    // Strings: empty, quotes within, escapes, lines.
    r#""""#,
    r#""a b""#,
    r#""\b\t\n\f\r\"\\""#,
    r#""\u00e4\u0000\U0001F600\uFFFD""#,
    "\"\\uD7FF\\uE000\\U0010FFFF\"",
    "\"# no comment, no 'end'\"",
    "\"\u{80}\u{e4}\u{1f600}\u{10ffff}\"",
    "\"a\tb\"",
    "''",
    r"'C:\no\escapes'",
    "'say \"x\"'",
    "'a\tb\u{a0}'",
    r#""""""""#,
    "\"\"\"\na\"\"\"",
    "\"\"\"a\nb\r\nc\"\"\"",
    "\"\"\"a \\\n   \n  b\"\"\"",
    "\"\"\"a \\   \n b\"\"\"",
    "\"\"\"a \\\r\n b\"\"\"",
    r#""""a "quote" or ""two""""#,
    r#""""at the end"""""#,
    r#""""at the end""""""#,
    r#""""\"""\"""""#,
    r#""""\\""""#,
    "''''''",
    "'''\na'''",
    "'''a\nb\\'''",
    "'''one ' two '' '''",
    "'''at the end''''",
    "'''at the end'''''",
    // Integers.
    "0",
    "+0",
    "-0",
    "99",
    "+99",
    "-17",
    "1_000",
    "5_349_221",
    "1_2_3_4_5",
    "9223372036854775807",
    "-9223372036854775808",
    "0xDEADBEEF",
    "0xdead_beef",
    "0x00",
    "0o01234567",
    "0o7_6",
    "0b11010110",
    "0b1_0",
    // Floats.
    "0.0",
    "+1.0",
    "-0.01",
    "3.1415",
    "5e+22",
    "1e06",
    "1E6",
    "-2E-2",
    "6.626e-34",
    "224_617.445_991_228",
    "1_0e1_0",
    "0e0",
    "inf",
    "+inf",
    "-inf",
    "nan",
    "+nan",
    "-nan",
    // Booleans.
    "true",
    "false",
    // Dates and times.
    "1979-05-27T07:32:00Z",
    "1979-05-27t07:32:00z",
    "1979-05-27 07:32:00Z",
    "1979-05-27T00:32:00-07:00",
    "1979-05-27T00:32:00.999999+23:59",
    "1979-05-27T07:32:00",
    "1979-05-27T00:32:00.5",
    "1979-05-27",
    "2000-02-29",
    "2024-02-29",
    "0001-01-01",
    "9999-12-31",
    "07:32:00",
    "00:32:00.999999",
    "23:59:59",
    "00:00:00.000000001",
    // Arrays.
    "[]",
    "[ ]",
    "[1]",
    "[1,]",
    "[1, 2, 3]",
    "[1,2 , 3 ,]",
    "[[1, 2], ['a', \"b\"], []]",
    "[1, 'a', true, 1.5, 07:32:00]",
    "[\n]",
    "[\n1,\n\n2\n]",
    "[ # one\n 1 # two\n , # three\n]",
    "[{a = 1}, {b = [2]}]",
    "[[[[[]]]]]",
    // Inline tables.
    "{}",
    "{ }",
    "{a=1}",
    "{ a = 1, b = 'x' }",
    "{ a.b = 1, a.c = 2 }",
    "{ 'a b' = 1, \"c\" = 2, 3 = 4 }",
    "{ a = { b = { c = {} } } }",
    "{ a = [\n1,\n2\n] }",
    "{ a = \"\"\"x\ny\"\"\" }",
];

const BAD_VALUES: &[&str] = &[
    // Strings.
    "\"",
    "'",
    "\"b",
    "'b",
    "b\"",
    "\"b\nc\"",
    "'b\nc'",
    "\"b\rc\"",
    "\"\"\"b",
    "'''b",
    "\"\"\"b\"\"",
    "'''b''",
    r#""\q""#,
    r#""\ ""#,
    r#""\a""#,
    r#""\v""#,
    r#""\0""#,
    r#""\'""#,
    r#""\""#,
    r#""\x""#,
    r#""\u""#,
    r#""\u12""#,
    r#""\u123g""#,
    r#""\u+123""#,
    r#""\U1234567""#,
    r#""\uD800""#,
    r#""\uDFFF""#,
    r#""\U0000D801""#,
    r#""\U00110000""#,
    r#""\UFFFFFFFF""#,
    r#""""\q""""#,
    r#""""\uD800""""#,
    "\"\"\"a \\ b\"\"\"",
    "\"\u{1}\"",
    "\"\u{8}\"",
    "\"\u{b}\"",
    "\"\u{1f}\"",
    "\"\u{7f}\"",
    "'\u{0}'",
    "'\u{1f}'",
    "'\u{7f}'",
    "\"\"\"\u{8}\"\"\"",
    "\"\"\"\u{7f}\"\"\"",
    "'''\u{1}'''",
    "\"\"\"a\rb\"\"\"",
    "'''a\rb'''",
    "\"b\" c",
    "\"b\" \"c\"",
    "'b' 'c'",
    "\"\"\"\"\"\"\"\"\"",
    "''''a''''''",
    "word",
    "\u{201c}b\u{201d}",
    "`b`",
    // Integers.
    "01",
    "00",
    "-01",
    "+00",
    "0_1",
    "1__0",
    "_1",
    "1_",
    "+_1",
    "-",
    "+",
    "--1",
    "++1",
    "+-1",
    "- 1",
    "1 2",
    "1a",
    "0xG",
    "0x",
    "0X1",
    "0O7",
    "0B1",
    "0b2",
    "0o8",
    "0b",
    "0o",
    "+0x1",
    "-0o1",
    "-0b1",
    "0x_1",
    "0x1_",
    "0x1__2",
    "0b_0",
    "0o_7",
    "0x1.5",
    "\u{663}",
    "1k",
    "9223372036854775808",
    "-9223372036854775809",
    "0x8000000000000000",
    "0o1000000000000000000000",
    "99999999999999999999",
    "$1",
    "1/2",
    "1+1",
    // Floats.
    "1.",
    ".1",
    "+.1",
    "-.1",
    "1.e1",
    ".e1",
    "1e",
    "1e+",
    "1e_1",
    "1e1_",
    "1_e1",
    "1._0",
    "1_.0",
    "1.0_",
    "1.0__1",
    "00.1",
    "01e1",
    "-00.1",
    "1.1.1",
    "1e1.5",
    "1e1e1",
    "1f",
    "1.5f",
    "Inf",
    "INF",
    "infinity",
    "+ inf",
    "NaN",
    "NAN",
    "i",
    "in",
    "na",
    "nann",
    "inff",
    // Booleans.
    "True",
    "TRUE",
    "False",
    "truer",
    "falsey",
    "tru",
    "f",
    "yes",
    "on",
    "null",
    "nil",
    "none",
    // Dates and times.
    "1979-00-01",
    "1979-13-01",
    "1979-01-00",
    "1979-01-32",
    "1979-04-31",
    "2023-02-29",
    "1900-02-29",
    "1979-1-1",
    "1979-01-1",
    "79-01-01",
    "11979-01-01",
    "1979-01",
    "1979/01/01",
    "1979-01-01T",
    "1979-01-01T07",
    "1979-01-01x07:32:00",
    "1979-01-01  07:32:00",
    "1979-01-01T7:32:00",
    "1979-01-01T24:00:00Z",
    "1979-01-01T07:60:00Z",
    "1979-01-01T07:32:61Z",
    "1979-01-01T07:32:00.Z",
    "1979-01-01T07:32:00.1.2Z",
    "1979-01-01T07:32:00ZZ",
    "1979-01-01T07:32:00+",
    "1979-01-01T07:32:00+1",
    "1979-01-01T07:32:00+01",
    "1979-01-01T07:32:00+0100",
    "1979-01-01T07:32:00+24:00",
    "1979-01-01T07:32:00+01:60",
    "1979-01-01T07:32:00 Z",
    "1979-01-01Z",
    "07:32:00Z",
    "07:32:00+01:00",
    "7:32:00",
    "07:3:00",
    "24:00:00",
    "07:60:00",
    "07:32:61",
    "07:32:00.",
    "07:32:00;5",
    "07.32.00",
    // Arrays.
    "[",
    "]",
    "[1",
    "[1 2]",
    "[,]",
    "[,1]",
    "[1,,2]",
    "[1,,]",
    "[1;2]",
    "[1]]",
    "[[1]",
    "[b]",
    "[a = 1]",
    "[\"b]",
    "[1 # x, 2]",
    "(1)",
    // Inline tables.
    "{",
    "}",
    "{ b }",
    "{ b = }",
    "{ = 1 }",
    "{ b = 1",
    "{ b = 1 c = 2 }",
    "{ b = 1; c = 2 }",
    "{ , }",
    "{ , b = 1 }",
    "{ b = 1,, c = 2 }",
    "{ b = 1, b = 2 }",
    "{ b.c = 1, b = 2 }",
    "{ b = 1, b.c = 2 }",
    "{ b = {}, b.c = 2 }",
    "{ b = { c = 1 }, b.d = 2 }",
    "{ b.c = 1, b.c = 2 }",
    "{ \"b\" = 1, b = 2 }",
    "{ b : 1 }",
    "{ [b] }",
    "{ b = 1 }}",
    "{ 1 }",
];

const GOOD_DOCUMENTS: &[&str] = &[
    "",
    "\n",
    "\r\n\r\n",
    " \t \n",
    "\u{feff}a = 1\n",
    "# comment",
    "# tab\t, ä, \u{80}, \u{10ffff}\n#\n##\n",
    "a = 1 # after",
    "a = 1#after\n",
    "  a\t=\t1  ",
    "a = 1\r\nb = 2\r\n",
    "a=1",
    // Keys.
    "A-z_0-9 = 1",
    "1 = 1\n-1 = 2\n_ = 3\n- = 4",
    "1.2 = 3\n1.3 = 4",
    "3e4 = 1\ntrue = 2\ninf = 3\n1979-05-27 = 4",
    "\"\" = 1",
    "'' = 1",
    "\"a b\" = 1\n'c d' = 2\n\"\u{e4}\\u00f6\" = 3",
    "\"a.b\" = 1\na.b = 2",
    "a.b.c = 1\na.b.d = 2\na.e = 3",
    "a . b = 1\na\t.\tc = 2",
    "a.\"b\".'c' = 1",
    "a.b = 1\nc = 2\na.d = 3",
    "\"\\t\" = 1\n'\\t' = 2",
    // Tables.
    "[a]",
    "[ a ]\n[ b . c ]",
    "[a]\nb = 1\n[c]\nb = 1\n",
    "[a.b.c]\n[a]\nd = 1",
    "[a.b]\n[a.c]\n[a]",
    "[a]\n[a.b]\n[a.b.c]",
    "[\"a.b\"]\n['c d']\n[\"\"]\n[1]",
    "[a] # comment\nb = 1",
    "[a]\nb.c = 1\nb.d = 2\n[a.e]",
    "[a]\nb.c.d = 1\n[a.x.y]",
    "a.b = 1\n[c]\na.b = 1",
    // Arrays of tables.
    "[[a]]",
    "[[a]]\nb = 1\n[[a]]\nb = 2\n[[a]]",
    "[[a.b]]\n[[a.b]]",
    "[[a]]\n[a.b]\nc = 1\n[[a]]\n[a.b]\nc = 2",
    "[[a]]\n[[a.b]]\n[[a.b]]\n[[a]]\n[[a.b]]",
    "[a]\n[[a.b]]",
    "[[a]]\n[a.b.c]\n[[a]]\n[a.b]",
    "[[ a ]]\n[[ 'b' . c ]]",
    "[[a]]\nb.c = 1\n[[a]]\nb.c = 1",
];

const BAD_DOCUMENTS: &[&str] = &[
    // Pairs.
    "= 1",
    "a",
    "a =",
    "a b = 1",
    "a = 1 b = 2",
    "a = 1, b = 2",
    "a = 1; b = 2",
    "a:1",
    "a\n= 1",
    "a =\n1",
    "a == 1",
    "a = = 1",
    "a = 1 =",
    "{a = 1}",
    "\"a\"",
    "1",
    "[1, 2]",
    // Keys.
    "a.= 1",
    ".a = 1",
    "a..b = 1",
    ".= 1",
    "\"a = 1",
    "'a = 1",
    "\"\"\"a\"\"\" = 1",
    "'''a''' = 1",
    "\"a\nb\" = 1",
    "a! = 1",
    "a# = 1",
    "a@b = 1",
    "\u{e4} = 1",
    "a\"b\" = 1",
    "\"a\"b = 1",
    "'a''b' = 1",
    "\"\\q\" = 1",
    "\"\\uD800\" = 1",
    "\"\u{1}\" = 1",
    "[a] = 1",
    "[a]b = 1",
    // Twice.
    "a = 1\na = 1",
    "a = 1\n\"a\" = 1",
    "a = 1\n'a' = 1",
    "\"a\" = 1\n'\\u0061' = 1\n\"\\u0061\" = 1",
    "a.b = 1\na = 2",
    "a = 1\na.b = 2",
    "a.b = 1\na.b = 2",
    "a.b = 1\na.b.c = 2",
    "a = []\na.b = 1",
    "a = 'x'\na.b = 1",
    "a = {}\na.b = 1",
    "a = { b = 1 }\na.c = 2",
    "a = { b.c = 1 }\na.b.d = 2",
    // Tables.
    "[",
    "[]",
    "[ ]",
    "[a",
    "[a\n",
    "a]",
    "[a]]",
    "[a ]]",
    "[.]",
    "[a.]",
    "[.a]",
    "[a..b]",
    "[a b]",
    "[a\n]",
    "[a] b",
    "[a] b = 1",
    "[a] [b]",
    "[\"a]",
    "['a]",
    "[a=1]",
    "[a#b]",
    "[a]\n[a]",
    "[a]\nb = 1\n[a]",
    "[a.b]\n[a.b]",
    "[a]\n[\"a\"]",
    "[a.b]\n[a]\n[a.b]",
    "[a]\n[a.b]\n[a]",
    "[a]\nb = 1\n[a.b]",
    "[a]\nb = {}\n[a.b]",
    "[a]\nb = []\n[a.b]",
    "[a]\nb = []\n[[a.b]]",
    "[a]\nb.c = 1\n[a.b]",
    "[a]\nb.c.d = 1\n[a.b.c]",
    "a.b = 1\n[a]",
    "a.b.c = 1\n[a.b]",
    "a = 1\n[a]",
    "a = 1\n[a.b]",
    "a = {}\n[a]",
    "a = {}\n[a.b]",
    "a = { b = {} }\n[a.b.c]",
    "[a.b]\n[a]\nb = 1",
    "[a.b]\n[a]\nb.c = 1",
    "[a.b.c]\nd = 1\n[a]\nb.c.e = 1",
    // Arrays of tables.
    "[[",
    "[[]]",
    "[[ ]]",
    "[[a]",
    "[[a] ]",
    "[ [a]]",
    "[[a]]]",
    "[[a]] b",
    "[[a\n]]",
    "[[.a]]",
    "[[a.]]",
    "[[a]]\n[a]",
    "[a]\n[[a]]",
    "a = []\n[[a]]",
    "a = [{}]\n[[a]]",
    "a = [{}]\n[a.b]",
    "a = 1\n[[a]]",
    "a = {}\n[[a]]",
    "a.b = 1\n[[a]]",
    "[[a.b]]\n[a.b]",
    "[a.b]\n[[a.b]]",
    "[a.b]\n[[a]]",
    "[[a]]\n[[a.b]]\n[a.b]",
    "[[a]]\n[a.b]\n[[a.b]]",
    "[[a]]\nb = 1\n[[a.b]]",
    "[[a]]\nb = 1\nb = 2",
    "[[a]]\n[a.b]\n[a.b]",
    // Characters.
    "# \u{0}",
    "# \u{1}",
    "# \u{8}",
    "# \u{b}",
    "# \u{c}",
    "# \u{1f}",
    "# \u{7f}",
    "# a\rb",
    "a = 1 # \u{1}",
    "a = 1\rb = 2",
    "\rb = 2",
    "a = 1\n\r",
    "\u{b}",
    "\u{c}a = 1",
    "\u{1b}[0m",
    "a = 1 \u{a0}",
    "a =\u{2003}1",
    "a = \u{feff}1",
    "\n\u{feff}a = 1",
    "a = 1\0",
    "// comment",
    "; comment",
    "/* comment */",
    "-- comment",
];

/// What is no text at all.
const BAD_BYTES: &[&[u8]] = &[
    b"\xff",
    b"a = 1 # \x80",
    b"a = \"\xc3\"",
    b"a = \"\xc0\x80\"",
    b"a = \"\xed\xa0\x80\"",
    b"a = \"\xf4\x90\x80\x80\"",
    b"a = '\xe2\x82'",
    b"a = \"\"\"\xff\"\"\"",
    b"\xe4 = 1",
    b"[\xff]",
    b"\xff\xfea\0 \0=\0 \x001\0",
    b"\xfe\xff\0a\0 \0=\0 \x001",
    b"\xef\xbb",
];

/// Where a value can stand.
fn around(value: &str) -> [String; 6] {
    [
        format!("a = {value}"),
        format!("a.b = {value} # after\n"),
        format!("[t]\na = {value}\r\n"),
        format!("a = [{value}]\n"),
        format!("a = [\n  0, # before\n  {value},\n]\n"),
        format!("[[t]]\na = {{ b = 0, c = {value} }}\n"),
    ]
}

/// All of them, each once.
fn documents(values: &[&str], whole: &[&str], bytes: &[&[u8]]) -> BTreeSet<Vec<u8>> {
    let values = values.iter().flat_map(|value| around(value)).map(String::into_bytes);
    let whole = whole.iter().map(|text| text.as_bytes().to_vec());
    values.chain(whole).chain(bytes.iter().map(|bytes| bytes.to_vec())).collect()
}

/// What there is to say about a file of this content.
fn said(document: &[u8]) -> Vec<Diagnostic> {
    let (table, diagnostics) = read_alone("a", "/etc/units/a.toml", document.to_vec());
    assert!(table.is_none(), "none of these is a unit: {}", document.escape_ascii());
    diagnostics
}

/// Not TOML's reason but ours: the document is TOML, and no unit.
fn is_ours(diagnostic: &Diagnostic) -> bool {
    let message = diagnostic.message.as_str();
    ["unknown key ", "unknown table ", "`exec-start` is missing"]
        .iter()
        .any(|beginning| message.starts_with(beginning))
        || diagnostic.severity == Severity::Warning
}

#[test]
fn f5_1_whatever_toml_forbids_is_refused_with_its_place() {
    let documents = documents(BAD_VALUES, BAD_DOCUMENTS, BAD_BYTES);
    assert!(documents.len() >= INVALID_AT_LEAST, "{} documents", documents.len());
    let mut accepted = Vec::new();
    for document in documents {
        let said = said(&document);
        let Some(first) = said.iter().find(|said| !is_ours(said)) else {
            accepted.push(document.escape_ascii().to_string());
            continue;
        };
        let place = first.place.as_ref().expect("a place");
        let text = first.to_string();
        let begun = format!("/etc/units/a.toml:{}:{}: error: ", place.line, place.column);
        assert!(text.starts_with(&begun), "{text}");
        let lines = document.iter().filter(|byte| **byte == b'\n').count() + 1;
        assert!(place.line as usize <= lines, "{}: {text}", document.escape_ascii());
    }
    assert!(accepted.is_empty(), "accepted though invalid: {accepted:#?}");
}

#[test]
fn f5_1_whatever_toml_allows_is_read_to_its_end() {
    let documents = documents(GOOD_VALUES, GOOD_DOCUMENTS, &[]);
    assert!(documents.len() >= VALID_AT_LEAST, "{} documents", documents.len());
    let mut refused = Vec::new();
    for document in documents {
        let said = said(&document);
        let wrong = said.iter().filter(|said| !is_ours(said));
        refused.extend(wrong.map(|said| format!("{}\n{said}", document.escape_ascii())));
    }
    assert!(refused.is_empty(), "refused though valid: {refused:#?}");
}

#[test]
fn what_is_no_text_is_said_and_nothing_else() {
    let unit = "[unit]\ndescription = \"K?ket\"\n[service]\nexec-start = \"/bin/a\"\n";
    let utf_16: Vec<u8> = unit.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin_1 = unit.bytes().map(|byte| if byte == b'?' { 0xf6 } else { byte }).collect();
    let nul = unit.replace('?', "\0").into_bytes();
    for document in [latin_1, nul, utf_16.clone(), [b"\xff\xfe".to_vec(), utf_16].concat()] {
        let said = said(&document);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said.iter().all(|said| said.message.starts_with("the file ")), "{said:?}");
    }
}

#[test]
fn a_list_that_is_not_closed_is_one_mistake() {
    let list =
        "[unit]\nafter = [\n  \"network\",\n\n[service]\nexec-start = \"/bin/a\"\nnice = 1\n";
    let said = said(list.as_bytes());
    let expected =
        "/etc/units/a.toml:2:9: error: the list that begins in line 2 is not closed (a `]` is";
    assert!(said.len() == 1 && said[0].to_string().starts_with(expected), "{said:?}");
}

#[test]
fn f5_1_tables_of_other_tools_may_say_anything_that_is_toml() {
    let unit = |text: &str| {
        let whole = format!("[service]\nexec-start = \"/bin/a\"\n[x-test]\n{text}\n");
        read_alone("a", "a.toml", whole.into_bytes())
    };
    for value in GOOD_VALUES {
        let (table, said) = unit(&format!("a = {value}"));
        assert!(table.is_some() && said.is_empty(), "{value}: {said:?}");
    }
    for value in BAD_VALUES {
        assert!(unit(&format!("a = {value}")).0.is_none(), "{value}");
    }
}
