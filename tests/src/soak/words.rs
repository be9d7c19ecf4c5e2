//! Services that say one thing and die at once, again and again: the last word of every run is in
//! the log, once and in order.

use super::Row;
use super::lines::Lines;
use crate::binaries::{Program, look};
use crate::units::shell;
use crate::{Builder, Machine, Operate};
use std::fs;

/// As many as keep two processors busy.
const SERVICES: u64 = 10;

pub(super) fn run(rounds: u64) -> Vec<Row> {
    assert!(
        look(Program::FailingInit).is_some(),
        "init-failing is not built: tests/run soak does it"
    );
    let builder = Builder::default().seconds(120 + rounds / 50);
    let mut machine = builder.command(&["/sbin/init-failing"]).build();
    machine.write("/soak/made", b"");
    let each = rounds.div_ceil(SERVICES);
    for number in 0..SERVICES {
        machine.unit(&format!("d{number}"), &unit(number, each));
    }
    machine.boot();
    let root = machine.root();
    let said = |number: u64| {
        let text = fs::read_to_string(root.join(format!("soak/d{number}"))).unwrap_or_default();
        text.trim().parse::<u64>().unwrap_or(0)
    };
    machine.until("all have said everything", |_| (0..SERVICES).all(|number| said(number) > each));
    let log = |number: u64| Lines::new(root.join(format!("run/log/ettan/d{number}/current")));
    let mut logs: Vec<_> = (0..SERVICES).map(log).collect();
    machine.until("the end of each is in its log", |machine| {
        logs.iter_mut().for_each(Lines::follow);
        let status = machine.ettan("logs -n 1 ettan");
        status.code == 0 && logs.iter().all(|log| log.seen > each)
    });
    // The line after the last word is that of a run that goes on.
    let all = each * SERVICES;
    let seen: u64 = logs.iter().map(|log| log.seen - 1).sum();
    let lost: u64 = logs.iter().map(|log| log.lost).sum();
    vec![Row::at_most(
        "last words lost, twice or in the wrong order",
        all,
        lost + all.abs_diff(seen),
        0,
    )]
}

/// Says a word and dies, by a signal or by itself; when it has said all, it stays.
fn unit(number: u64, last: u64) -> String {
    let script = format!(
        "n=0; [ -e /soak/d{number} ] && read n < /soak/d{number}; n=$((n + 1)); \
         echo $n > /soak/d{number}; echo \"line $n end\"; \
         [ $n -gt {last} ] && exec sleep 100000; \
         case $((n %% 3)) in 0) kill -9 $$;; 1) kill -ABRT $$;; esac; exit 1"
    );
    let eager =
        "min-uptime-sec = \"1ms\"\nrestart-sec = \"1ms\"\nrestart-max-delay-sec = \"1ms\"\n";
    format!("{}{eager}[log]\nmax-size = \"512M\"\n", shell(&script))
}
