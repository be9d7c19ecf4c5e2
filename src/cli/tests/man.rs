//! The manual: every verb has its page, and man(1) has nothing to say against any of them.

#[path = "../examples/man/pages.rs"]
mod pages;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory with all pages, which goes with the test.
struct Manual {
    directory: PathBuf,
    pages: Vec<PathBuf>,
}

impl Manual {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("ettan-{name}-{}", std::process::id()));
        let pages = pages::write(&directory).expect("the pages can be written");
        Self { directory, pages }
    }

    /// As somebody reads it on a serial console.
    fn read(&self, page: &Path) -> Output {
        Command::new("man")
            .args(["--warnings=w", "-P", "cat", "-l"])
            .arg(page)
            .current_dir(&self.directory)
            .env("MANWIDTH", "80")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("there is man(1)")
    }

    fn text(&self, page: &str) -> String {
        String::from_utf8_lossy(&self.read(&self.directory.join(page)).stdout).into_owned()
    }
}

impl Drop for Manual {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn man_renders_every_page_without_a_warning() {
    let manual = Manual::new("rendered");
    for page in &manual.pages {
        let read = manual.read(page);
        let said = String::from_utf8_lossy(&read.stderr);
        assert!(read.status.success() && said.is_empty(), "{}: {said}", page.display());
        let text = String::from_utf8_lossy(&read.stdout);
        // What is written may show a longer line of code.
        let is_generated = page.to_string_lossy().contains("/ettan-")
            && page.extension().is_some_and(|section| section == "1");
        let is_wide = |line: &&str| line.chars().count() > 80;
        let wide: Vec<_> = text.lines().filter(is_wide).filter(|_| is_generated).collect();
        assert_eq!(wide, Vec::<&str>::new(), "{}", page.display());
        let name = Command::new("lexgrog").arg(page).current_dir(&manual.directory).output();
        let name = name.expect("lexgrog is where man is");
        assert!(name.status.success(), "whatis(1) finds no name in {}", page.display());
    }
}

#[test]
fn every_verb_has_its_page() {
    let manual = Manual::new("verbs");
    let command = ettan_cli::command();
    let main = manual.text("man1/ettan.1");
    for verb in command.get_subcommands() {
        let name = verb.get_name();
        let page = manual.text(&format!("man1/ettan-{name}.1"));
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        let first = about.split_whitespace().next().unwrap_or_default();
        assert!(!first.is_empty() && page.contains(first), "{name}: {page}");
        assert!(main.contains(name), "ettan(1) does not speak of {name}");
        let shown = verb.get_arguments().filter(|argument| !argument.is_hide_set());
        for option in shown.filter_map(clap::Arg::get_long) {
            assert!(page.contains(&format!("--{option}")), "{name} --{option}: {page}");
        }
    }
    assert!(manual.text("man1/svstat.1").contains("ettan-svstat"));
}

#[test]
fn what_people_wrote_keeps_its_tables() {
    let manual = Manual::new("tables");
    let unit = manual.text("man5/ettan-unit.5");
    assert!(unit.starts_with("ettan-unit(5)"), "{unit}");
    assert!(unit.contains("│") && unit.contains("exec-start"), "{unit}");
    assert!(manual.text("man8/ettan-init.8").contains("ettan-init - PID 1"));
}
