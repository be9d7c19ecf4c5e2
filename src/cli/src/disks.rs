//! Logs that are kept on a disk too: has them brought there, and tells how it stands with them, from
//! the logger's notes beside the logs in memory.

use crate::change::accepted;
use crate::code::Code;
use crate::escape::Screen;
use crate::link::{Link, Trouble};
use crate::logs;
use crate::show::many;
use ettan_log::note::{Note, flushed_ms};
use ettan_sys::clock;
use ettan_wire::Request;
use std::path::Path;
use std::time::Duration;

/// How long a disk may take.
const LIMIT_MS: u64 = 60_000;

/// A logger that was killed meanwhile knows of nothing: asked again so often.
const AGAIN_MS: u64 = 5_000;

/// Between two looks whether it is done.
const PAUSE: Duration = Duration::from_millis(20);

/// `logs --flush`: done when everything that was said before is on its disk.
pub(crate) fn flush(wait: bool, screen: &Screen) -> Code {
    let done = if wait { flush_and_wait(screen) } else { flush_some_time(screen) };
    done.unwrap_or_else(|trouble| trouble.tell(screen))
}

fn flush_some_time(screen: &Screen) -> Result<Code, Trouble> {
    accepted(&Link::ask(&Request::Flush)?, "accepted", screen)
}

fn flush_and_wait(screen: &Screen) -> Result<Code, Trouble> {
    let begun_ms = clock::now();
    let mut asked_ms = None;
    while flushed_ms(Path::new(logs::ROOT)) < begun_ms {
        let now = clock::now();
        if now.saturating_sub(begun_ms) > LIMIT_MS {
            let text = "a disk has not taken the logs for a minute (ettan status)";
            return Err(Trouble { text: text.into(), code: Code::Failed });
        }
        if asked_ms.is_none_or(|asked| now.saturating_sub(asked) > AGAIN_MS) {
            Link::ask(&Request::Flush)?.expect()?;
            asked_ms = Some(now);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(tell(&all(), screen))
}

fn tell(notes: &[(String, Note)], screen: &Screen) -> Code {
    let mut code = Code::Done;
    for (name, note) in notes {
        let why =
            note.error.as_deref().or(note.is_used_up.then_some("the day's budget is used up"));
        if let Some(why) = why {
            screen.complain(&format!("{name}: not all of its log is on the disk: {why}"));
            code = Code::Failed;
        }
    }
    if code == Code::Done && !screen.json {
        screen.say(&match notes.len() {
            0 => "no log is kept on a disk".to_owned(),
            count => format!("{} on disk", many(count, "log")),
        });
    }
    code
}

/// The notes of all logs that are kept on a disk, by name.
pub(crate) fn all() -> Vec<(String, Note)> {
    let note = |name: String| Some((Note::read(&logs::directory(&name)?)?, name));
    logs::names().into_iter().filter_map(note).map(|(note, name)| (name, note)).collect()
}
