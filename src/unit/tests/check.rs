//! `ettan check`: what shows before a unit is started.

mod common;

use common::{Root, service};
use ettan_unit::{Severity, check};

/// An ELF header for a machine, with a loader when one is given.
fn elf(machine: u16, loader: Option<&str>) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    if let Some(loader) = loader {
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        let mut header = vec![0; 56];
        header[0] = 3;
        header[8] = 120;
        header[32] = u8::try_from(loader.len()).unwrap();
        bytes.extend(header);
        bytes.extend(loader.as_bytes());
    }
    bytes
}

fn program(root: &Root, path: &str, content: impl AsRef<[u8]>) {
    root.write(path, content);
    root.mode(path, 0o755);
}

#[track_caller]
fn assert_said(root: &Root, expected: &[&str]) {
    let said: Vec<String> = check(root.path(), &[]).iter().map(|d| d.one_line()).collect();
    let all = said.join("\n");
    for text in expected {
        assert!(all.contains(text), "expected: {text}\ngot:\n{all}");
    }
    assert_eq!(said.len(), expected.len(), "{all}");
}

#[test]
fn programs_must_be_there_and_executable() {
    let root = Root::new();
    program(&root, "/sbin/init", elf(40, None));
    program(&root, "/bin/sh", elf(40, None));
    let contents: [(&str, &[u8]); 5] = [
        ("ok", b"#! /bin/sh -e\n"),
        ("orphan", b"#!/bin/gone\n"),
        ("relative", b"#!sh\n"),
        ("empty", b""),
        ("text", b"hello"),
    ];
    for (name, content) in contents {
        program(&root, &format!("/bin/{name}"), content);
        root.unit(name, format!("[service]\nexec-start = \"/bin/{name}\"\n"));
    }
    program(&root, "/bin/mode", "#!/bin/sh\n");
    root.mode("/bin/mode", 0o644);
    for name in ["mode", "gone", "dir"] {
        root.unit(name, format!("[service]\nexec-start = \"/bin/{name}\"\n"));
    }
    std::fs::create_dir(root.at("/bin/dir")).unwrap();
    assert_said(
        &root,
        &[
            "orphan.toml:2:14: error: the interpreter of `/bin/orphan`, `/bin/gone`: no such file",
            "relative.toml:2:14: error: the interpreter of `/bin/relative`, `sh` is not an absolute path",
            "empty.toml:2:14: error: the program `/bin/empty` is empty",
            "text.toml:2:14: warning: `/bin/text` is neither a program nor a script",
            "mode.toml:2:14: error: the program `/bin/mode` is not executable (chmod +x)",
            "gone.toml:2:14: error: the program `/bin/gone`: no such file or directory",
            "dir.toml:2:14: error: the program `/bin/dir` is not a regular file",
        ],
    );
}

#[test]
fn programs_must_be_for_the_machine_and_have_their_loader() {
    let root = Root::new();
    program(&root, "/sbin/init", elf(40, None));
    program(&root, "/lib/ld.so", elf(40, None));
    program(&root, "/bin/good", elf(40, Some("/lib/ld.so")));
    program(&root, "/bin/alien", elf(62, None));
    program(&root, "/bin/wide", elf(183, None));
    program(&root, "/bin/lost", elf(40, Some("/lib/ld-musl-armhf.so.1")));
    for name in ["good", "alien", "wide", "lost"] {
        root.unit(name, format!("[service]\nexec-start = \"/bin/{name}\"\n"));
    }
    assert_said(
        &root,
        &[
            "`/bin/alien` is for x86-64, this root for ARM (32 bit)",
            "`/bin/wide` is for ARM (64 bit), this root for ARM (32 bit)",
            "the loader of `/bin/lost`, `/lib/ld-musl-armhf.so.1`: no such file or directory",
        ],
    );
}

#[test]
fn links_are_followed_inside_the_root() {
    let root = Root::new();
    program(&root, "/usr/bin/true", elf(40, None));
    root.link("/bin", "/usr/bin");
    root.unit("a", "[service]\nexec-start = \"/bin/true\"\n");
    assert_said(&root, &[]);
}

#[test]
fn directories_must_be_there() {
    let root = Root::new();
    program(&root, "/bin/true", elf(40, None));
    let forking = |path: &str| service(&format!("type = \"forking\"\npid-file = \"{path}\""));
    root.unit("a", forking("/run/a.pid"));
    root.unit("b", forking("/var/run/b.pid"));
    root.unit("c", forking("/run/c/c.pid"));
    root.unit("d", forking("/data/d.pid"));
    root.unit("e", service("working-directory = \"/srv/%n\""));
    root.unit("f", service("working-directory = \"/etc\""));
    assert_said(
        &root,
        &[
            "c.toml:4:12: warning: the PID file's directory `/run/c` is not there",
            "d.toml:4:12: error: `/data/d.pid` may be on a disk",
            "e.toml:3:21: error: the directory `/srv/e` is not there",
        ],
    );
}

#[test]
fn hostile_programs_are_survived() {
    let root = Root::new();
    let whole = elf(40, Some("/lib/ld.so"));
    for length in 0..whole.len() {
        program(&root, &format!("/bin/p{length}"), &whole[..length]);
        root.unit(&format!("u{length}"), format!("[service]\nexec-start = \"/bin/p{length}\"\n"));
    }
    let mut huge = whole.clone();
    huge[32..40].fill(0xff);
    huge[54..58].fill(0xff);
    program(&root, "/bin/huge", huge);
    root.unit("huge", "[service]\nexec-start = \"/bin/huge\"\n");
    assert!(check(root.path(), &[]).iter().any(|d| d.severity == Severity::Warning));
}
