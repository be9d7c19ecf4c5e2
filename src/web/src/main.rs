//! The status page of the machine: HTML, JSON and metrics of what PID 1 says, and buttons that ask
//! PID 1. An ordinary service without rights of its own; decides nothing about units.
//!
//! | file | what it does |
//! |---|---|
//! | `options` | the command line |
//! | `token` | the secret of whoever may come in |
//! | `sessions` | browsers that showed it |
//! | `serve` | connections and their limits |
//! | `guard` | who asks, from where, and whether it is meant |
//! | `route` | paths to what is asked for |
//! | `site` | what is asked for to an answer |
//! | `page` | HTML |
//! | `html` | text that cannot become HTML |
//! | `metrics` | numbers for Prometheus |
#![forbid(unsafe_code)]

mod guard;
mod html;
mod metrics;
mod options;
mod page;
mod reply;
mod route;
mod serve;
mod sessions;
mod site;
mod token;

use ettan_cli::client;
use ettan_sys::notify::notify;
use options::{Options, Words};
use site::Site;
use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;

/// Threads that wait for PID 1 and for files: they are few, because a Pi Zero has one processor, and
/// PID 1 room for 32 clients.
pub(crate) const WAITING: usize = 8;

/// None of ours needs a quarter of it.
const STACK_BYTES: usize = 512 * 1024;

/// How it ends when its command line or its token cannot be as they are: starting again helps nobody.
const WRONG: u8 = 2;

fn main() -> ExitCode {
    let options = match options::read(std::env::args_os()) {
        Ok(Words::Serve(options)) => options,
        Ok(Words::Say(text)) => {
            let _ = io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(text) => return complain(&text, WRONG),
    };
    let token = match options.token() {
        Ok(token) => token,
        Err(text) => return complain(&text, WRONG),
    };
    match run(&options, Site::new(options.listen.ip(), token)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("{}: {error}", options.listen), 1),
    }
}

fn run(options: &Options, site: Site) -> io::Result<()> {
    client::be_patient();
    let listener = TcpListener::bind(options.listen)?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(WAITING)
        .thread_stack_size(STACK_BYTES)
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        say(&format!("listening on http://{}; {}", options.listen, site.manner()));
        if let Err(error) = notify("READY=1") {
            say(&format!("saying that it is ready: {error}"));
        }
        serve::serve(listener, Arc::new(site)).await;
        Ok(())
    })
}

/// To standard error, which is the unit's log.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn complain(text: &str, code: u8) -> ExitCode {
    say(&format!("ettan-web: {text}"));
    ExitCode::from(code)
}
