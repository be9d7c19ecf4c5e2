//! Has PID 1 replaced by the file at its path, waits until the new one is in service, and tells
//! which it was and is.

use crate::change::accepted;
use crate::code::Code;
use crate::escape::Screen;
use crate::link::{Answer, Link, Trouble};
use ettan_wire::{Finished, Reply, Request, Stats};
use std::time::{Duration, Instant};

/// The time a file has to show that it can go on, and a slow board's for everything else.
const LIMIT: Duration = Duration::from_secs(60);

/// Between two looks whether the new PID 1 is in service: it says so within 200 ms.
const PAUSE: Duration = Duration::from_millis(20);

/// reexec.
pub(crate) fn reexec(wait: bool, screen: &Screen) -> Code {
    replace(wait, screen).unwrap_or_else(|trouble| trouble.tell(screen))
}

fn replace(wait: bool, screen: &Screen) -> Result<Code, Trouble> {
    let (before, _) = stats()?;
    let link = Link::ask(&Request::Reexec)?;
    if !wait {
        return accepted(&link, "accepted", screen);
    }
    link.expect()?;
    match link.next() {
        Ok(Answer { reply: Reply::Failed(Finished { text }), .. }) => Err(failed(&text)),
        Ok(_) => Err(failed("PID 1 gave an answer to something else")),
        // The end of the connection is what was asked for.
        Err(_) => tell(&before, screen),
    }
}

fn tell(before: &Stats, screen: &Screen) -> Result<Code, Trouble> {
    let limit = Instant::now() + LIMIT;
    let (after, json) = loop {
        match stats() {
            Ok((stats, json)) if stats.executions != before.executions && !stats.trial => {
                break (stats, json);
            }
            Err(trouble) if Instant::now() > limit => return Err(trouble),
            Ok(_) if Instant::now() > limit => {
                return Err(failed("PID 1 answers, but was not executed anew"));
            }
            Ok(_) | Err(_) => std::thread::sleep(PAUSE),
        }
    };
    if screen.json {
        screen.packet(&json);
    }
    if after.reverted {
        let version = after.version;
        return Err(failed(&format!(
            "the new PID 1 failed before it was in service; Ettan {version} goes on (ettan logs)"
        )));
    }
    if !screen.json {
        screen.say(&format!("PID 1: Ettan {} -> {}", before.version, after.version));
    }
    Ok(Code::Done)
}

/// What PID 1 says about itself, and the packet.
fn stats() -> Result<(Stats, String), Trouble> {
    let answer = Link::ask(&Request::Stats)?.expect()?;
    match answer.reply {
        Reply::Stats(stats) => Ok((stats, answer.json)),
        _ => Err(failed("PID 1 says nothing about itself")),
    }
}

fn failed(text: &str) -> Trouble {
    Trouble { text: text.to_owned(), code: Code::Failed }
}
