//! The manual pages: a page for each verb from the command line's own description, as `--help` has
//! it; the others from the Markdown in docs/, by lowdown(1).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Pages written by people, each with its section.
const WRITTEN: [(&str, u8); 4] =
    [("ettan", 1), ("ettan-unit", 5), ("ettan-init", 8), ("ettan-web", 8)];

/// Links to `ettan`, by which a verb can be called too.
const LINKS: [&str; 11] = [
    "reboot",
    "poweroff",
    "halt",
    "shutdown",
    "svc",
    "svstat",
    "svok",
    "setuidgid",
    "envdir",
    "softlimit",
    "tai64nlocal",
];

/// Writes every page below `directory`, which is then as man(1) wants it, and says which.
///
/// # Errors
/// Files cannot be read or written, or there is no lowdown(1).
pub(crate) fn write(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    let mut page = |name: &str, section: u8, text: &[u8]| {
        let place = directory.join(format!("man{section}"));
        fs::create_dir_all(&place)?;
        let path = place.join(format!("{name}.{section}"));
        pages.push(path.clone());
        fs::write(path, text)
    };
    for (name, section) in WRITTEN {
        page(name, section, &written(name, section)?)?;
    }
    let mut command = ettan_cli::command();
    command.build();
    for verb in command.get_subcommands() {
        page(&format!("ettan-{}", verb.get_name()), 1, &generated(verb)?)?;
    }
    for link in LINKS {
        page(link, 1, format!(".so man1/ettan-{link}.1\n").as_bytes())?;
    }
    Ok(pages)
}

/// The page of a verb.
fn generated(verb: &clap::Command) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(verb.clone()).source(source()).manual("Ettan");
    page.render(&mut text)?;
    text.extend_from_slice(
        b".SH \"SEE ALSO\"\nettan(1), which says more of each verb; ettan\\-unit(5)\n",
    );
    Ok(text)
}

/// A page of docs/. Its first line is the title, and its headings are one level down from it.
fn written(name: &str, section: u8) -> io::Result<Vec<u8>> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/{name}.{section}.md"));
    let mut lowdown = Command::new("lowdown");
    lowdown.args(["-s", "-Tman", "--nroff-nolinks", "-Mshiftheadinglevelby=-1", "-Mvolume=Ettan"]);
    lowdown.arg(format!("-Mtitle={name}")).arg(format!("-Msection={section}"));
    lowdown.arg(format!("-Msource={}", source()));
    let made = lowdown.arg(&path).output()?;
    if !made.status.success() {
        let why = String::from_utf8_lossy(&made.stderr);
        return Err(io::Error::other(format!("lowdown {}: {why}", path.display())));
    }
    let text = String::from_utf8_lossy(&made.stdout);
    Ok(settled(&text).into_bytes())
}

/// What lowdown leaves to be done: the title is no heading, whatis(1) wants a plain dash, and a
/// cell of a table is too narrow to be adjusted, or for a path that nothing breaks.
fn settled(page: &str) -> String {
    let title = page.find(".SH\n").map(|at| page.split_at(at));
    let (head, rest) = title.unwrap_or(("", page));
    let body = rest.get(4..).and_then(|rest| rest.find(".SH\n").map(|at| &rest[at + 4..]));
    let body = body.unwrap_or(rest);
    let body = body.replacen(" — ", " \\- ", 1).replacen(" – ", " \\- ", 1);
    format!("{head}.ad l\n.SH\n{}", body.replace('/', "/\\:"))
}

/// What the pages belong to.
fn source() -> String {
    format!("Ettan {}", env!("CARGO_PKG_VERSION"))
}
