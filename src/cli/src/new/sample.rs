//! Texts of unit files: the shortest one that does, and one with every key as a comment, made from
//! the loader's own table. Pure.

use ettan_unit::KEYS;

/// A text as TOML has it.
pub(super) fn text(value: &str) -> String {
    let mut toml = String::from("\"");
    for letter in value.chars() {
        match letter {
            '"' | '\\' => toml.extend(['\\', letter]),
            letter if letter.is_control() => {
                toml.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => toml.push(letter),
        }
    }
    toml.push('"');
    toml
}

/// `exec-start = ["/usr/bin/web", "-p", "80"]`
fn exec_start(command: &[String]) -> String {
    let words: Vec<_> = command.iter().map(|word| text(&word.replace('%', "%%"))).collect();
    format!("exec-start = [{}]", words.join(", "))
}

/// What is needed and no more.
pub(super) fn short(command: &[String], lines: &[String]) -> String {
    let mut text = format!("[service]\n{}\n", exec_start(command));
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Every key, in the order of the loader's table.
pub(super) fn all(command: &[String]) -> String {
    let mut text = String::from(
        "# Every key that a unit file may have: ettan-unit(5). A `#` in front of a key: as if it\n\
         # were not there. What stands behind the semicolon holds then.\n",
    );
    let mut sections: Vec<&str> = Vec::new();
    for key in KEYS {
        if !sections.contains(&key.section) {
            sections.push(key.section);
        }
    }
    for section in sections {
        // A table of its own with nothing in it is no mistake, but the loader may need a key.
        let mark = if section == "service" { "" } else { "# " };
        text.push_str(&format!("\n{mark}[{section}]\n"));
        for key in KEYS.iter().filter(|key| key.section == section) {
            let (takes, otherwise) = key.takes.split_once("; ").unwrap_or((key.takes, ""));
            text.push_str(&format!("\n# {takes}; {otherwise}\n"));
            match key.name {
                "exec-start" => text.push_str(&exec_start(command)),
                name => text.push_str(&format!("# {name} =")),
            }
            text.push('\n');
        }
    }
    text
}
