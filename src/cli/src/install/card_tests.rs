//! Tests of what is found on a root, and of which programs it takes.

use super::*;
use crate::install::elf::{ARM, Elf, X86_64, elf};

fn root(name: &str) -> PathBuf {
    let root = std::env::temp_dir().join(format!("ettan-card-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&root);
    for folder in ["etc", "sbin", "bin", "boot/firmware", "from"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    root
}

#[test]
fn what_cannot_have_ettan_is_told_why() {
    let root = root("why");
    let why = |is_new| Card::open(&root, is_new).unwrap_err();
    assert!(Card::open(&root, true).is_ok());
    fs::write(root.join("boot/firmware/cmdline.txt"), "quiet init=/usr/lib/x/firstboot\n").unwrap();
    assert!(why(true).contains("cmdline.txt: init=/usr/lib/x/firstboot: something else"));
    fs::write(root.join("boot/firmware/cmdline.txt"), "init=/lib/systemd/systemd\n").unwrap();
    assert!(Card::open(&root, true).is_ok());
    std::os::unix::fs::symlink("ettan-init", root.join("sbin/init")).unwrap();
    assert!(why(true).ends_with("and not by ettan install"));
    assert!(Card::open(&root, false).is_ok(), "by us");
    let nowhere = Card::open(&root.join("boot"), true).unwrap_err();
    assert!(nowhere.ends_with("no root file system, it has no /etc and /sbin"), "{nowhere}");
    fs::remove_dir_all(&root).unwrap();
}

/// What `install --from` says to `init` and `ettan` on a root whose shell is `witness`.
fn taken(name: &str, witness: Option<&Elf>, init: &[u8], ettan: &[u8]) -> Result<usize, String> {
    let root = root(name);
    let from = root.join("from");
    if let Some(witness) = witness {
        fs::write(root.join("bin/sh"), witness.bytes()).unwrap();
    }
    fs::write(from.join("ettan-init"), init).unwrap();
    fs::write(from.join("ettan"), ettan).unwrap();
    let taken = Card::open(&root, true).unwrap().programs(Some(&from));
    fs::remove_dir_all(&root).unwrap();
    taken.map(|programs| programs.len())
}

#[test]
fn programs_are_for_the_roots_cpu() {
    let root = root("cpu");
    let card = Card::open(&root, true).unwrap();
    let why = card.programs(Some(&root.join("from"))).unwrap_err();
    assert!(why.ends_with("from/ettan-init: no such file or directory (--from DIR)"), "{why}");
    fs::remove_dir_all(&root).unwrap();
    let pc = elf(X86_64).bytes();
    let why = taken("cpu", None, b"#!/bin/sh", &pc).unwrap_err();
    assert!(why.ends_with("from/ettan-init: no program (--from DIR)"), "{why}");
    assert_eq!(taken("cpu", None, &pc, &pc), Ok(2), "nobody knows what the root is for");
    let why = taken("cpu", Some(&elf(ARM)), &pc, &pc).unwrap_err();
    assert!(
        why.contains("ettan-init: is for x86-64, and ")
            && why.ends_with("for ARM (32 bit) (--from DIR)"),
        "{why}"
    );
}

#[test]
fn a_root_for_a_pi_zero_takes_nothing_newer() {
    let (v6, v7) = (elf(ARM).arm(6, &[]), elf(ARM).arm(10, &[]));
    let dynamic = |elf: &Elf| elf.clone().dynamic("/lib/ld-linux-armhf.so.3", &["libc.so.6"]);
    let shell = dynamic(&v6);
    assert_eq!(taken("v6", Some(&shell), &v6.bytes(), &v6.bytes()), Ok(2));
    let why = taken("v6", Some(&shell), &v6.bytes(), &v7.bytes()).unwrap_err();
    assert!(
        why.contains("from/ettan: is for ARMv7 (Tag_CPU_arch), and ")
            && why.ends_with(" for ARMv6 (--from DIR)"),
        "{why}"
    );
    let shell = dynamic(&v7);
    assert_eq!(taken("v6", Some(&shell), &v6.bytes(), &v7.bytes()), Ok(2));
}

#[test]
fn process_1_needs_no_other_file() {
    let pc = elf(X86_64);
    let dynamic = pc.clone().dynamic("/lib64/ld-linux-x86-64.so.2", &["libc.so.6"]);
    let why = taken("static", None, &dynamic.bytes(), &pc.bytes()).unwrap_err();
    assert!(why.contains("ettan-init: needs /lib64/ld-linux-x86-64.so.2, and process 1 "), "{why}");
    assert_eq!(taken("static", None, &pc.bytes(), &dynamic.bytes()), Ok(2), "the command may");
}
