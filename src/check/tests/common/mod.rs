//! Roots with made-up programs, and short ways to ask what is found in them.
#![allow(dead_code, unreachable_pub, unused_imports)]

mod elf;
#[path = "../../../unit/tests/common/mod.rs"]
mod unit;

pub use elf::{AARCH64, ARM, Elf, X86_64, elf};
pub use unit::{Root, service};

use ettan_check::{Cpu, Finding, Wish, check};

/// A file that may be executed.
pub fn program(root: &Root, path: &str, content: impl AsRef<[u8]>) {
    root.write(path, content);
    root.mode(path, 0o755);
}

pub fn wish(root: &Root) -> Wish {
    Wish { root: root.path().into(), ..Wish::default() }
}

pub fn cpu(root: &Root, cpu: Cpu) -> Wish {
    Wish { cpu: Some(cpu), ..wish(root) }
}

pub fn said(wish: &Wish) -> Vec<String> {
    check(wish).iter().map(|finding| finding.diagnostic.to_string()).collect()
}

/// Exactly as many findings as texts, and each text in one of them.
#[track_caller]
pub fn assert_said(wish: &Wish, expected: &[&str]) {
    let said = said(wish);
    let all = said.join("\n");
    for text in expected {
        assert!(all.contains(text), "expected: {text}\ngot:\n{all}");
    }
    assert_eq!(said.len(), expected.len(), "{all}");
}

/// The names of the lints that found something.
pub fn lints(wish: &Wish) -> Vec<&'static str> {
    check(wish).iter().filter_map(|finding: &Finding| finding.lint).collect()
}
