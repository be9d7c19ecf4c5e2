//! What people see: each file of tests/golden as a unit, and the text beside it. `ETTAN_UPDATE=1`
//! writes the texts anew; look at the difference.

mod common;

use std::path::{Path, PathBuf};
use std::{env, fs};

use common::{ARM, Root, elf, program, wish};
use ettan_check::{Style, Wish, check, render};

const PLAIN: Style = Style { colour: false, columns: 80 };

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// A root that is read-only and has the programs of the files, with one file as a unit.
fn root(name: &str, content: &[u8]) -> Root {
    let root = Root::new();
    for path in ["/sbin/init", "/usr/bin/web", "/usr/sbin/nginx", "/usr/sbin/telldusd"] {
        program(&root, path, elf(ARM).bytes());
    }
    root.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:100:100::/:/bin/false\n");
    root.write("/etc/group", "root:x:0:\nweb:x:100:\n");
    root.write("/etc/fstab", "/dev/mmcblk0p2 / ext4 ro,noatime 0 1\ntmpfs /tmp tmpfs rw 0 0\n");
    root.unit("telldusd", "[service]\nexec-start = \"/usr/sbin/telldusd --nodaemon\"\n");
    root.unit(name, content);
    root
}

fn drawn(wish: &Wish, style: Style) -> String {
    let texts: Vec<String> = check(wish).iter().map(|finding| render(finding, style)).collect();
    texts.join("\n\n") + "\n"
}

#[test]
fn each_file_gets_its_text() {
    let update = env::var_os("ETTAN_UPDATE").is_some();
    let mut files: Vec<PathBuf> = fs::read_dir(here("tests/golden"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let root = root(name, &fs::read(&file).unwrap());
        let text = drawn(&wish(&root), PLAIN);
        let expected = file.with_extension("txt");
        if update {
            fs::write(&expected, &text).unwrap();
        }
        let known = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(text, known, "{name}: ETTAN_UPDATE=1 if this is meant");
        for line in text.lines() {
            assert!(!line.chars().any(char::is_control), "{name}: {line:?}");
        }
        let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{name}: {wide:#?}");
    }
}

#[test]
fn the_manual_shows_what_is_printed() {
    let manual = fs::read_to_string(here("../../docs/check.md")).unwrap();
    let shown = fs::read_to_string(here("tests/golden/web.txt")).unwrap();
    let file = fs::read_to_string(here("tests/golden/web.toml")).unwrap();
    assert!(manual.contains(&file) && manual.contains(&shown), "docs/check.md: {shown}");
}

#[test]
fn colours_change_no_word() {
    let root = root("web", &fs::read(here("tests/golden/web.toml")).unwrap());
    let wish = wish(&root);
    let colourful = drawn(&wish, Style { colour: true, ..PLAIN });
    let mut plain = String::new();
    let mut parts = colourful.split('\u{1b}');
    plain.push_str(parts.next().unwrap());
    parts.for_each(|part| plain.push_str(part.split_once('m').unwrap().1));
    assert_ne!(colourful, plain);
    assert_eq!(plain, drawn(&wish, PLAIN));
}
