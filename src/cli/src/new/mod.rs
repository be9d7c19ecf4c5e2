//! `new NAME [--example] [--now] [-- COMMAND…]`: writes /etc/units/NAME.toml, whole or not at all, and never
//! over a file that is there. With a command, after a look at what it does.
//!
//! | file | what it does |
//! |---|---|
//! | `sample` | every key, as a commented file |
//! | `trial` | runs a program for a moment and sees how it behaves |
//! | `family` | the processes that come from us, and what they listen on |

mod family;
mod sample;
mod trial;

use crate::change::{self, Goal};
use crate::code::Code;
use crate::escape::Screen;
use ettan_unit::{Severity, odd_name, read_alone};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use trial::{Kind, Seen};

/// Where units of this machine are.
const UNITS: &str = "/etc/units";

/// What it is to be made of.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct Wish {
    /// Of the unit
    name: String,
    /// All keys, each with what it takes, as comments
    #[arg(long)]
    example: bool,
    /// Have PID 1 read it, and start it
    #[arg(long, conflicts_with = "example")]
    now: bool,
    /// Prints no packets
    #[arg(long, hide = true)]
    json: bool,
    /// The program and its arguments: is run for a few seconds, then stopped
    #[arg(last = true)]
    command: Vec<String>,
}

/// Writes it, and says what to do next.
pub(crate) fn new(wish: &Wish, screen: &Screen) -> Code {
    let bare = crate::arguments::bare(wish.name.clone());
    let name = bare.as_str();
    let path = Path::new(UNITS).join(format!("{name}.toml"));
    if fs::symlink_metadata(&path).is_ok() {
        screen.complain(&format!("{} is there already: nothing was changed", path.display()));
        return Code::Failed;
    }
    let made = compose(wish, screen).and_then(|text| {
        sound(name, &text)?;
        place(&path, &text).map_err(|error| cannot(&path, &error))
    });
    if let Err(text) = made {
        screen.complain(&format!("{text}; nothing was written"));
        return Code::Failed;
    }
    if wish.now {
        screen.say(&format!("{} written", path.display()));
        return begin(name, screen);
    }
    next(name, &path, wish, screen);
    Code::Done
}

/// PID 1 reads the unit and starts it; this waits until it is up.
fn begin(name: &str, screen: &Screen) -> Code {
    match change::read_again(true, screen) {
        Code::Done => {
            let started = change::goal(Goal::Start, &[name.to_owned()], true, screen);
            if started == Code::Done {
                screen.say(&format!("  ettan status {name}    how it goes from now on"));
            }
            started
        }
        failed => failed,
    }
}

/// What to type next, in the order in which it is wanted.
fn next(name: &str, path: &Path, wish: &Wish, screen: &Screen) {
    screen.say(&format!("{} written. Next:", path.display()));
    if wish.command.is_empty() {
        screen.say("  put your program in it, with any editor");
    }
    for (verb, why) in [
        (format!("check {}", path.display()), "whether it can work"),
        (format!("run {name}"), "here, as PID 1 would; Ctrl-C ends it"),
        ("reload-units".to_owned(), "PID 1 reads and starts it, at boot too"),
        (format!("status {name}"), "how it goes"),
    ] {
        screen.say(&format!("  ettan {verb:<30}  {why}"));
    }
}

fn compose(wish: &Wish, screen: &Screen) -> Result<String, String> {
    let Some((program, arguments)) = wish.command.split_first() else {
        let command = vec!["/usr/bin/your-program".to_owned()];
        return Ok(match wish.example {
            true => sample::all(&command),
            false => sample::short(&command, &[]),
        });
    };
    let program = find(program).ok_or_else(|| format!("there is no program {program}"))?;
    let command: Vec<String> =
        core::iter::once(program.display().to_string()).chain(arguments.iter().cloned()).collect();
    screen.say(&format!("{} runs for {} s …", command.join(" "), trial::SPAN.as_secs()));
    let seen = trial::run(&command).map_err(|error| format!("{}: {error}", command.join(" ")))?;
    for line in words(&seen) {
        screen.say(&format!("  {line}"));
    }
    if let Kind::Fails(how) = &seen.kind {
        return Err(format!("it {how}: try it by hand first"));
    }
    let lines = lines(&seen);
    Ok(match wish.example {
        true => sample::all(&command),
        false => sample::short(&command, &lines),
    })
}

/// What was seen, for the person.
fn words(seen: &Seen) -> Vec<String> {
    let mut words = vec![match &seen.kind {
        Kind::Simple => "it stays in the foreground: type = \"simple\"".to_owned(),
        Kind::Forking => "it goes to the background: type = \"forking\"".to_owned(),
        Kind::Oneshot => "it did its work and ended: type = \"oneshot\"".to_owned(),
        Kind::Fails(how) => format!("it {how}"),
    }];
    if let Some(path) = &seen.pid_file {
        words.push(format!("it wrote its number to {}", path.display()));
    } else if seen.kind == Kind::Forking {
        words.push("no PID file was seen: its main process will be guessed".to_owned());
    }
    words.extend(seen.listens.iter().map(|address| format!("it listens on {address}")));
    words
}

/// The same as keys. A key that is still to come is a comment.
fn lines(seen: &Seen) -> Vec<String> {
    let mut lines = Vec::new();
    match seen.kind {
        Kind::Simple | Kind::Fails(_) => {}
        Kind::Forking => lines.push("type = \"forking\"".to_owned()),
        Kind::Oneshot => lines.push("type = \"oneshot\"".to_owned()),
    }
    if let Some(path) = seen.pid_file.as_ref().filter(|_| seen.kind == Kind::Forking) {
        lines.push(format!("pid-file = {}", sample::text(&path.display().to_string())));
    }
    if let Some(address) = seen.listens.first() {
        let (key, value) = match address.strip_prefix("unix:") {
            Some(path) => ("unix-socket", path.to_owned()),
            None => ("tcp", address.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")),
        };
        lines.push(String::new());
        lines.push("[ready]".to_owned());
        lines.push(format!("{key} = {}", sample::text(&value)));
    }
    lines
}

/// A path as it is; a name by PATH. Links stay: a program of many names goes by the one that it is called by, and the
/// link to the newest release is what is meant, not the release.
fn find(program: &str) -> Option<PathBuf> {
    let is_there = |file: &PathBuf| file.is_file();
    if program.contains('/') {
        return std::path::absolute(program).ok().filter(is_there);
    }
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(is_there)?;
    std::path::absolute(found).ok()
}

/// The loader makes a unit of it.
fn sound(name: &str, text: &str) -> Result<(), String> {
    if let Some((message, hint)) = odd_name(name) {
        let hint = hint.map_or(String::new(), |hint| format!(" ({hint})"));
        let message = message.strip_suffix(": skipped").unwrap_or(&message);
        return Err(format!("`{}`: {message}{hint}", ettan_unit::shown(name)));
    }
    let (_, said) = read_alone(name, &format!("{name}.toml"), text.as_bytes().to_vec());
    let error = said.iter().find(|said| said.severity == Severity::Error);
    error.map_or(Ok(()), |error| Err(error.message.clone()))
}

/// The kernel's answer in the words of the wire.
fn words_of(error: &io::Error) -> String {
    let number = error.raw_os_error().unwrap_or(0);
    ettan_wire::error_text(number).map_or_else(|| error.to_string(), str::to_owned)
}

/// Why there is no file, and what would help.
fn cannot(path: &Path, error: &io::Error) -> String {
    let help = match error.kind() {
        io::ErrorKind::PermissionDenied => " (only root may write units)",
        io::ErrorKind::ReadOnlyFilesystem => {
            " (mount -o remount,rw / for a while, or put it into the image)"
        }
        _ => "",
    };
    format!("{}: {}{help}", path.display(), words_of(error))
}

/// Under another name first; a link to it does not replace what came there meanwhile.
fn place(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let draft = folder.join(format!(".new-{}", std::process::id()));
    let written = File::create_new(&draft)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use ettan_unit::KEYS;

    #[test]
    fn what_was_seen_becomes_a_unit_that_the_loader_takes() {
        let seen = Seen {
            kind: Kind::Forking,
            pid_file: Some("/run/web \"1\".pid".into()),
            listens: vec!["0.0.0.0:8080".into()],
        };
        let text = sample::short(&["/usr/sbin/web".into(), "a b".into()], &lines(&seen));
        assert_eq!(sound("web", &text), Ok(()), "{text}");
        assert!(text.contains("type = \"forking\"\npid-file = "), "{text}");
        assert!(text.contains("tcp = \"127.0.0.1:8080\""), "{text}");
    }

    #[test]
    fn the_sample_has_every_key_and_the_loader_takes_it() {
        let text = sample::all(&["/usr/bin/web".into()]);
        assert_eq!(sound("web", &text), Ok(()), "{text}");
        for key in KEYS {
            let start = format!("{} =", key.name);
            let is_its = |line: &str| line.trim_start_matches("# ").starts_with(&start);
            assert!(text.lines().any(is_its), "{}", key.name);
        }
    }

    #[test]
    fn a_program_keeps_the_name_that_it_is_called_by() {
        let folder = std::env::temp_dir().join(format!("ettan-find-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("busybox"), "").expect("a file");
        let applet = folder.join("httpd");
        std::os::unix::fs::symlink("busybox", &applet).expect("a link");
        let find = |path: &Path| find(&path.display().to_string());
        assert_eq!(find(&applet), Some(applet.clone()));
        assert_eq!(find(&folder.join("./httpd")), Some(applet));
        assert_eq!(find(&folder.join("none")), None);
        assert_eq!(find(&folder), None);
        fs::remove_dir_all(&folder).expect("a folder");
    }

    #[test]
    fn nothing_is_written_over_a_file() {
        let folder = std::env::temp_dir().join(format!("ettan-new-{}", std::process::id()));
        let path = folder.join("web.toml");
        place(&path, "one").expect("there was none");
        assert_eq!(
            place(&path, "two").expect_err("it is there").kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "one");
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1);
        fs::remove_dir_all(&folder).expect("a folder");
    }
}
