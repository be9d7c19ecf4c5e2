//! Reads the source tree and holds it to its own rules: charters, lengths, where `unsafe` may be,
//! no sleeping tests, and a fault list that is in step with the tests. Runs nothing.

use ettan_tests::binaries::workspace;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a source file. 400 is where a file should be two; this is where it must.
const LINES_MAX: usize = 700;

/// All source files, as paths below the top of the tree.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for top in ["src", "tests"] {
        collect(&workspace().join(top), &mut found);
    }
    assert!(found.len() > 50, "where is the source?");
    let top = workspace();
    found.iter().filter_map(|path| path.strip_prefix(&top).ok()).map(Path::to_path_buf).collect()
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "target" {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(workspace().join(path)).expect("a source file")
}

/// Fails with every offender at once.
fn none(what: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{what}:\n{}", offenders.join("\n"));
}

/// The places where `offends` says so of a line.
fn lines(mut offends: impl FnMut(&Path, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for path in sources() {
        for (number, line) in text(&path).lines().enumerate() {
            if offends(&path, line) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn every_file_opens_with_its_charter() {
    let lacks = |path: &PathBuf| !text(path).starts_with("//! ");
    let found: Vec<String> = sources()
        .iter()
        .filter(|path| lacks(path))
        .map(|path| path.display().to_string())
        .collect();
    none("the first line says what a file does (`//! …`)", &found);
}

#[test]
fn no_file_is_too_long() {
    let mut found = Vec::new();
    for path in sources() {
        let count = text(&path).lines().count();
        if count > LINES_MAX {
            found.push(format!("{}: {count} lines", path.display()));
        }
    }
    none("two files would be better", &found);
}

#[test]
fn only_sys_is_unsafe() {
    let found = lines(|path, line| {
        let code = line.split("//").next().unwrap_or_default();
        let mut words = code.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        !path.starts_with("src/sys") && !code.contains('"') && words.any(|word| word == "unsafe")
    });
    none("unsafe code belongs to src/sys", &found);
}

#[test]
fn every_other_crate_forbids_unsafe() {
    let mut found = Vec::new();
    for path in sources() {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_root =
            path.ends_with(format!("src/{name}")) && ["lib.rs", "main.rs"].contains(&name);
        if is_root
            && !path.starts_with("src/sys")
            && !text(&path).contains("#![forbid(unsafe_code)]")
        {
            found.push(path.display().to_string());
        }
    }
    none("`#![forbid(unsafe_code)]` is missing", &found);
}

#[test]
fn nothing_is_left_for_later() {
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X:"].concat()];
    none(
        "do it or write it down elsewhere",
        &lines(|_, line| words.iter().any(|word| line.contains(word))),
    );
}

#[test]
fn no_test_sleeps() {
    let call = ["thread::", "sleep"].concat();
    let found = lines(|path, line| {
        let of_a_test =
            path.starts_with("tests") || path.components().any(|part| part.as_os_str() == "tests");
        of_a_test && line.contains(&call)
    });
    none("wait for what you are waiting for, with a limit", &found);
}

#[test]
fn the_wall_clock_is_read_only_where_a_time_is_shown_or_kept() {
    // It may jump from 1970 to now, back, and past 2038: nothing waits, orders or decides by it, but
    // timers that say so.
    let may = ["src/sys", "src/cli", "src/log", "src/clock", "src/init/src/wall.rs", "tests"];
    let found = lines(|path, line| {
        let reads =
            ["clock::wall", "clock::moment", "SystemTime"].iter().any(|word| line.contains(word));
        reads && !may.iter().any(|place| path.starts_with(place))
    });
    none("the clock that never jumps is `clock::now`", &found);
}

#[test]
fn every_page_that_a_comment_names_is_there() {
    let found = lines(|_, line| {
        let Some((_, comment)) = line.split_once("//") else { return false };
        let mut words = comment.split(|c: char| !c.is_ascii_alphanumeric() && !"/._-".contains(c));
        words.any(|word| {
            let path = word.trim_end_matches('.');
            let is_there = |top: &str| workspace().join(top).join(path).is_file();
            path.len() > 3 && path.ends_with(".md") && !is_there("") && !is_there("docs")
        })
    });
    none("a comment names pages by their path below the top of the tree, or below docs", &found);
}

#[test]
fn the_table_of_pid_1s_modules_has_each_of_them() {
    let root = text(Path::new("src/init/src/lib.rs"));
    let row = |line: &str| Some(line.strip_prefix("//! | `")?.split_once('`')?.0.to_owned());
    let module = |line: &str| {
        let name = line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';')?;
        (name != "testing").then(|| name.to_owned())
    };
    let rows: BTreeSet<String> = root.lines().filter_map(row).collect();
    let modules: BTreeSet<String> = root.lines().filter_map(module).collect();
    assert_eq!(rows, modules, "left: the table of src/init/src/lib.rs, right: its `mod` lines");
}

#[test]
fn the_code_map_says_what_each_crate_may_use() {
    let map = text(Path::new("ARCHITECTURE.md"));
    let mut found = Vec::new();
    for line in map.lines().filter(|line| line.starts_with("| `src/")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", path, _, _, uses, ""] = cells.as_slice() else {
            found.push(format!("not four columns: {line}"));
            continue;
        };
        let path = path.trim_matches('`');
        let (said, listed) = (own_crates(uses), own_dependencies(path));
        if said != listed {
            found.push(format!("{path}: the map says {said:?}, the manifest {listed:?}"));
        }
    }
    none("the code map of ARCHITECTURE.md is out of step", &found);
}

/// The crates of this tree in the last column of the code map. What stands in parentheses explains.
fn own_crates(cell: &str) -> BTreeSet<String> {
    let names =
        cell.split([',', ';']).map(|name| name.split('(').next().unwrap_or_default().trim());
    let is_own = |name: &&str| !name.is_empty() && workspace().join("src").join(name).is_dir();
    names.filter(is_own).map(str::to_owned).collect()
}

/// The crates of this tree that a manifest lists, but those for tests only.
fn own_dependencies(path: &str) -> BTreeSet<String> {
    let manifest = text(&Path::new(path).join("Cargo.toml"));
    let listed = manifest.split("[dependencies]").nth(1).unwrap_or_default();
    let listed = listed.split("\n[").next().unwrap_or_default();
    let name = |line: &str| {
        let name = line.split(['.', ' ']).next().unwrap_or_default();
        if name == "ettan" {
            Some("cli".to_owned())
        } else {
            name.strip_prefix("ettan-").map(str::to_owned)
        }
    };
    listed.lines().filter_map(name).collect()
}

/// Number of a fault → tests that carry it, each with the crate it is in.
type Proofs = BTreeMap<(u32, u32), BTreeSet<String>>;

fn proofs() -> Proofs {
    let mut proofs = Proofs::new();
    for path in sources() {
        let place = place(&path);
        for line in text(&path).lines() {
            let Some(name) = line.trim_start().strip_prefix("fn f") else { continue };
            let Some((name, _)) = name.split_once('(') else { continue };
            let mut parts = name.splitn(3, '_');
            let mut number = || parts.next().and_then(|part| part.parse().ok());
            if let (Some(family), Some(entry)) = (number(), number()) {
                proofs.entry((family, entry)).or_default().insert(format!("`f{name}` ({place})"));
            }
        }
    }
    proofs
}

/// `tests/namespace` or `src/core`: where a file is, as the list says it.
fn place(path: &Path) -> String {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    match parts.as_slice() {
        ["tests", "tests", part, ..] => format!("tests/{}", part.trim_end_matches(".rs")),
        [top, part, ..] => format!("{top}/{part}"),
        _ => String::new(),
    }
}

/// The list with its third column made anew, and the entries that nothing stands behind.
fn renewed(list: &str, proofs: &Proofs) -> (String, Vec<String>) {
    let mut bare = Vec::new();
    let mut renew = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", number, fault, _, left, ""] = cells.as_slice() else { return line.to_owned() };
        let Some(key) = key(number) else { return line.to_owned() };
        let tests: Vec<&str> = proofs.get(&key).into_iter().flatten().map(String::as_str).collect();
        if tests.is_empty() && left.is_empty() {
            bare.push(format!("{number} {fault}"));
        }
        format!("| {number} | {fault} | {} | {left} |", tests.join(", ")).replace("|  |", "| |")
    };
    let lines: Vec<String> = list.lines().map(&mut renew).collect();
    (lines.join("\n") + "\n", bare)
}

fn key(number: &str) -> Option<(u32, u32)> {
    let (family, entry) = number.split_once('.')?;
    Some((family.parse().ok()?, entry.parse().ok()?))
}

/// How many faults the catalogue has in each family, F1 first: 119 in all.
const FAMILIES: [u32; 8] = [21, 22, 14, 10, 14, 12, 14, 12];

#[test]
fn the_fault_list_is_in_step() {
    let path = workspace().join("tests/FAULTS.md");
    let list = fs::read_to_string(&path).expect("the list of faults");
    let proofs = proofs();
    let (renewed, bare) = renewed(&list, &proofs);
    none("neither a test nor a reason why not", &bare);
    let listed: BTreeSet<(u32, u32)> =
        list.lines().filter_map(|line| key(line.split('|').nth(1)?.trim())).collect();
    let whole = (1..).zip(FAMILIES).flat_map(|(family, size)| (1..=size).map(move |n| (family, n)));
    assert_eq!(listed, whole.collect(), "the list does not have every fault of the catalogue");
    let unknown: Vec<String> =
        proofs.keys().filter(|key| !listed.contains(key)).map(|key| format!("{key:?}")).collect();
    none("tests of faults that the list does not have", &unknown);
    if std::env::var_os("ETTAN_UPDATE").is_some() {
        fs::write(&path, renewed).expect("the list can be written");
    } else {
        let update = "ETTAN_UPDATE=1 cargo test -p ettan-tests --test tidy";
        assert!(renewed == list, "tests/FAULTS.md is out of step: {update}");
    }
}

/// Rows of docs/seed-features.md.
const FEATURES: usize = 114;

#[test]
fn the_features_of_the_five_documents_are_in_step() {
    let page = text(Path::new("docs/seed-features.md"));
    let rows: BTreeMap<usize, &str> = page.lines().filter_map(feature).collect();
    let missing: Vec<String> = (1..=FEATURES)
        .filter(|number| !rows.contains_key(number))
        .map(|number| number.to_string())
        .collect();
    none("rows that the page does not have", &missing);
    assert_eq!(rows.len(), FEATURES, "rows that nobody knows");
    let bare: Vec<String> = rows.iter().flat_map(|(number, cell)| unshown(*number, cell)).collect();
    none("neither a test or page that is there nor a reason why not", &bare);
}

/// Number of a row, and what shows it: the last cell.
fn feature(line: &str) -> Option<(usize, &str)> {
    let (number, rest) = line.strip_prefix("| ")?.split_once(" | ")?;
    let (_, cell) = rest.strip_suffix(" |")?.rsplit_once(" | ")?;
    Some((number.parse().ok()?, cell))
}

/// What a cell names that is not there: `` `path` test, test; `path`; planned: why ``.
fn unshown(number: usize, cell: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in cell.split("; ") {
        if part.strip_prefix("planned: ").is_some_and(|why| !why.is_empty()) {
            continue;
        }
        // Behind what is planned stands what there is already.
        let Some((_, named)) = part.split_once('`') else {
            found.push(format!("{number}: {part}"));
            continue;
        };
        let Some((path, names)) = named.split_once('`') else { continue };
        if !path.contains('/') && !path.ends_with(".md") {
            continue;
        }
        let Ok(source) = fs::read_to_string(workspace().join(path)) else {
            found.push(format!("{number}: no file {path}"));
            continue;
        };
        let tests = names.split(", ").map(str::trim).filter(|name| !name.is_empty());
        let missing = tests.filter(|name| !source.contains(&format!("fn {name}")));
        found.extend(missing.map(|name| format!("{number}: no {name} in {path}")));
    }
    found
}
