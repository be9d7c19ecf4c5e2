//! The table end to end: what is written is read back, and nothing hostile is believed.

use std::ffi::{CStr, CString};
use std::time::{Duration, Instant};

use ettan_core::{
    Calendar, Catalog, ExitStatus, KillMode, Kind, LimitAction, MAX_UNITS, Name, NeedKind, On,
    Probes, Restart, StartLimit, Statuses, Summer, Timer, Turn, Unit, Zone,
};
use ettan_table::write::{
    Entry, EntryLaunch, EntryNeed, EntryNeedKind, Overflow, encode, encode_ending, fingerprint,
};
use ettan_table::{Fault, LogPolicy, Table};

/// Two exit codes and a signal.
fn statuses() -> Statuses {
    let mut all = Statuses::NONE;
    let kill = ExitStatus::Signal { signal: 9, core: false };
    assert!([ExitStatus::Code(0), ExitStatus::Code(255), kill].into_iter().all(|one| all.add(one)));
    all
}

fn unit(name: &str, kind: Kind) -> Unit {
    Unit {
        name: Name::try_from(name).expect("a short name"),
        kind,
        restart: Restart::OnFailure,
        restart_delay_ms: 250,
        restart_delay_max_ms: 30_000,
        restart_reset_ms: 60_000,
        start_limit: StartLimit { burst: 5, interval_ms: 9, action: LimitAction::PowerOff },
        min_uptime_ms: 1_000,
        start_timeout_ms: 30_000,
        stop_timeout_ms: 10_000,
        kill_signal: 15,
        kill_mode: KillMode::Mixed,
        reload_signal: Some(1),
        reload_answers: true,
        success: statuses(),
        no_restart: Statuses::NONE,
        hooks: ettan_core::Hooks::default(),
        probes: Probes::Ready,
        autostart: true,
        skipped: false,
        critical: true,
        holds_data: true,
        nice: -5,
        builtin: false,
        fingerprint: 0,
    }
}

fn strings(list: &[&str]) -> Vec<CString> {
    list.iter().map(|item| CString::new(*item).expect("no NUL")).collect()
}

fn launch() -> EntryLaunch {
    EntryLaunch {
        argv: strings(&["/bin/sleep", "1000", ""]),
        envp: strings(&["PATH=/bin", "HOME=/root"]),
        uid: 7,
        gid: 8,
        groups: vec![20, 44],
        working_directory: c"/srv".into(),
        umask: 0o027,
        pid_file: Some(c"/run/a.pid".into()),
        tty_path: None,
        log: LogPolicy { max_size_bytes: 1000, max_files: 2 },
        log_words: c"stamps=none".into(),
        probe_words: c"path=/run/x".into(),
        extras: vec![],
        place: CString::default(),
        hooks: vec![],
    }
}

fn entry(name: &str) -> Entry {
    let kind = Kind::Simple;
    Entry {
        unit: unit(name, kind),
        description: String::new(),
        needs: vec![],
        launch: Some(launch()),
        group: String::new(),
        timer: None,
    }
}

fn need(kind: EntryNeedKind, name: &str, condition: bool) -> EntryNeed {
    EntryNeed { kind, name: name.into(), condition }
}

fn sample() -> Vec<u8> {
    let mut web = entry("web");
    web.description = "Serves pages — ä".into();
    web.needs = vec![
        need(EntryNeedKind::Requires, "db", false),
        need(EntryNeedKind::After, "network:eth0:address", true),
        need(EntryNeedKind::Wants, "ghost", false),
        need(EntryNeedKind::BindsTo, "device:usb:1781:0c31", true),
        need(EntryNeedKind::Conflicts, "db", false),
        need(EntryNeedKind::PartOf, "db", false),
        need(EntryNeedKind::OnFailure, "db", false),
    ];
    let target = Entry {
        unit: unit("all", Kind::Target),
        description: "everything".into(),
        needs: vec![need(EntryNeedKind::Wants, "web", false)],
        launch: None,
        group: String::new(),
        timer: None,
    };
    let mut db = entry("db");
    db.unit.kind = Kind::Oneshot { remain_after_exit: true };
    let messages = [("bad".to_string(), "bad.toml:1:1: error: no".to_string())];
    encode(&[web, target, db], &messages).expect("fits")
}

fn texts<'a>(list: impl Iterator<Item = &'a CStr>) -> Vec<&'a str> {
    list.map(|item| item.to_str().expect("UTF-8")).collect()
}

/// 2:30 on working days, where summer is.
fn timer() -> Timer {
    let turn = |month| Turn { month, week: 5, weekday: 0, time_s: -7_200 };
    let summer = Summer { ahead_s: -3_600, begins: turn(3), ends: turn(10) };
    let zone = Zone { ahead_s: -7_200, summer: Some(summer) };
    let at = Calendar { days: 0x1f, hours: 4, minutes: 1 << 30 | 1 << 59, zone };
    Timer { on_boot_ms: Some(0), every_ms: 7, at: Some(at), persistent: true }
}

#[test]
fn timers_are_read_as_they_were_written_and_copied() {
    let plain = Timer { every_ms: 60_000, ..Timer::default() };
    let no_summer = timer().at.map(|at| Calendar { zone: Zone::UTC, ..at });
    let all = [Some(timer()), Some(plain), Some(Timer { at: no_summer, ..plain }), None];
    let entries: Vec<Entry> =
        (0..).zip(all).map(|(nth, timer)| Entry { timer, ..entry(&format!("u{nth}")) }).collect();
    let blob = encode(&entries, &[]).expect("fits");
    let table = Table::read(&blob).expect("a table");
    assert_eq!([0, 1, 2, 3].map(|index| table.timer(index)), all);
    assert_eq!(Entry::copy(&table, 0).expect("a unit").timer, all[0]);
    let same = |a: usize, b: usize| {
        table.unit(a).map(|u| u.fingerprint) == table.unit(b).map(|u| u.fingerprint)
    };
    assert!(same(0, 3), "another time is no reason to restart anything");
    let never = timer().at.map(|at| Calendar { days: 0, ..at });
    let odd = Entry { timer: Some(Timer { at: never, ..timer() }), ..entry("u") };
    let blob = encode(&[odd], &[]).expect("fits");
    assert_eq!(Table::read(&blob).err(), Some(Fault::Unit(0)));
}

#[test]
fn what_is_written_is_read() {
    let blob = sample();
    let table = Table::read(&blob).expect("a table");
    assert_eq!(table.len(), 3);
    assert_eq!((0..3).filter_map(|i| table.name(i)).collect::<Vec<_>>(), ["all", "db", "web"]);
    let web = table.index_of("web").expect("web");
    assert_eq!(web, 2);
    assert_eq!(table.index_of("wek"), None);
    assert_eq!(table.description(web), "Serves pages — ä");
    let mut expected = unit("web", Kind::Simple);
    expected.fingerprint = fingerprint(Kind::Simple, Some(&launch()));
    assert_eq!(table.unit(web), Some(expected));
    let needs: Vec<_> = (0..).map_while(|nth| table.need(web, nth)).collect();
    assert_eq!(
        needs.iter().map(|n| n.kind).collect::<Vec<_>>(),
        [
            NeedKind::Requires,
            NeedKind::After,
            NeedKind::Wants,
            NeedKind::BindsTo,
            NeedKind::Conflicts,
            NeedKind::PartOf,
            NeedKind::OnFailure,
        ]
    );
    assert_eq!(
        needs.iter().map(|n| n.on).collect::<Vec<_>>(),
        [
            On::Unit(1),
            On::Condition("network:eth0:address"),
            On::Missing("ghost"),
            On::Condition("device:usb:1781:0c31"),
            On::Unit(1),
            On::Unit(1),
            On::Unit(1),
        ]
    );
    assert_eq!(table.unit(1).map(|u| u.kind), Some(Kind::Oneshot { remain_after_exit: true }));
    let message = table.messages().next().expect("one");
    assert_eq!((message.unit, message.text), (Some("bad"), "bad.toml:1:1: error: no"));
    assert_eq!(table.diagnostics().count(), 1);
}

#[test]
fn a_launch_is_complete() {
    let blob = sample();
    let table = Table::read(&blob).expect("a table");
    assert!(table.launch(0).is_none(), "a target executes nothing");
    assert!(table.launch(3).is_none());
    let launch = table.launch(2).expect("web");
    assert_eq!(launch.name, "web");
    assert_eq!(launch.program, c"/bin/sleep");
    assert_eq!(launch.argv.len(), 3);
    assert_eq!(texts(launch.argv), ["/bin/sleep", "1000", ""]);
    assert_eq!(texts(launch.envp), ["PATH=/bin", "HOME=/root"]);
    assert_eq!((launch.uid, launch.gid, launch.umask), (7, 8, 0o027));
    assert_eq!(launch.groups.collect::<Vec<_>>(), [20, 44]);
    assert_eq!(launch.working_directory, c"/srv");
    assert_eq!(launch.pid_file, Some(c"/run/a.pid"));
    assert_eq!(launch.tty_path, None);
    assert_eq!(launch.log, LogPolicy { max_size_bytes: 1000, max_files: 2 });
    assert_eq!(launch.log_words, c"stamps=none");
    assert_eq!(launch.probe_words, c"path=/run/x");
}

#[test]
fn the_fingerprint_is_of_what_is_executed() {
    let base = fingerprint(Kind::Simple, Some(&launch()));
    assert_ne!(base, fingerprint(Kind::Forking, Some(&launch())));
    let changes: [fn(&mut EntryLaunch); 9] = [
        |l| l.argv.push(c"x".into()),
        |l| l.argv = vec![c"/bin/sleep1000".into(), c"".into(), c"".into()],
        |l| l.envp.push(c"A=b".into()),
        |l| l.uid = 9,
        |l| l.groups.push(1),
        |l| l.working_directory = c"/".into(),
        |l| l.umask = 0,
        |l| l.pid_file = None,
        |l| (l.pid_file, l.tty_path) = (None, l.pid_file.take()),
    ];
    for change in changes {
        let mut changed = launch();
        change(&mut changed);
        assert_ne!(base, fingerprint(Kind::Simple, Some(&changed)));
    }
    let mut changed = launch();
    changed.log.max_files = 99;
    assert_eq!(base, fingerprint(Kind::Simple, Some(&changed)), "a log's size restarts nothing");
}

#[test]
fn limits_are_refused_when_writing() {
    let names = (0..=MAX_UNITS).map(|n| entry(&format!("u{n}"))).collect::<Vec<_>>();
    assert_eq!(encode(&names, &[]), Err(Overflow::Units));
    assert_eq!(encode(&[entry("a"), entry("a")], &[]), Err(Overflow::Units));
    let bad: [fn(&mut Entry); 8] = [
        |e| e.launch.iter_mut().for_each(|l| l.argv = vec![c"sleep".into()]),
        |e| e.launch.iter_mut().for_each(|l| l.working_directory = c"srv".into()),
        |e| e.launch.iter_mut().for_each(|l| l.umask = 0o1000),
        |e| e.unit.name = Name::try_from("a/b").expect("short"),
        |e| e.launch = None,
        |e| e.unit.kind = Kind::Target,
        |e| e.launch.iter_mut().for_each(|l| l.argv = vec![c"/x".into(); 257]),
        |e| e.launch.iter_mut().for_each(|l| l.groups = vec![1; 33]),
    ];
    for break_it in bad {
        let mut broken = entry("a");
        break_it(&mut broken);
        assert!(matches!(encode(&[broken], &[]), Err(Overflow::Unit(_))));
    }
}

#[test]
fn a_trivial_unit_is_small_and_a_thousand_are_fast() {
    let units = (0..1000).map(|n| entry(&format!("unit-{n:04}"))).collect::<Vec<_>>();
    let blob = encode(&units, &[]).expect("fits");
    assert!(blob.len() < 1000 * 64, "{} bytes", blob.len());
    let began = Instant::now();
    let table = Table::read(&blob).expect("a table");
    let walked = walk(&table);
    let took = began.elapsed();
    assert!(walked > 1000);
    // Generous: unoptimised, on a loaded machine. Optimised it is some hundred microseconds.
    assert!(took < Duration::from_millis(250), "{took:?}");
}

#[test]
fn instances_have_their_file_and_those_that_ended_a_name() {
    let instance = Entry { group: "w".into(), ..entry("w_00") };
    let ended = ["w_01".to_owned(), "w_02".to_owned()];
    let blob = encode_ending(&[entry("a"), instance.clone()], &[], &ended, true).expect("fits");
    let table = Table::read(&blob).expect("a table");
    assert_eq!([0, 1, 2].map(|at| table.group(at)), ["", "w", ""]);
    assert_eq!(table.ended().collect::<Vec<_>>(), ["w_01", "w_02"]);
    assert!(table.is_rescue());
    assert!(table.ends("w_02") && !table.ends("w_00") && !table.ends(""));
    let mut copy = Entry::copy(&table, 1).expect("a unit");
    copy.unit.fingerprint = instance.unit.fingerprint;
    assert_eq!(copy, instance);
    let odd = Entry { group: "a/b".into(), ..entry("b") };
    assert!(matches!(encode(&[odd], &[]), Err(Overflow::Unit(_))));
    let blob = encode_ending(&[], &[], &["a/b".to_owned()], false).expect("fits");
    assert_eq!(Table::read(&blob).err(), Some(Fault::Ended));
}

#[test]
fn an_empty_set_is_a_table() {
    let blob = encode(&[], &[]).expect("fits");
    let table = Table::read(&blob).expect("a table");
    assert!(table.is_empty() && !table.is_rescue());
}

#[test]
fn each_kind_of_damage_has_its_fault() {
    let blob = sample();
    let fault = |bytes: &[u8]| Table::read(bytes).err();
    assert_eq!(fault(b""), Some(Fault::Magic));
    assert_eq!(fault(b"ettantbl"), Some(Fault::Magic));
    assert_eq!(fault(&blob[..blob.len() - 1]), Some(Fault::Length));
    assert_eq!(fault(&[&blob[..], b"\0\0\0\0"].concat()), Some(Fault::Length));
    let mut version = blob.clone();
    version[8] = 0xff;
    assert_eq!(fault(&version), Some(Fault::Version(0xff)));
    for at in 20..blob.len() {
        let mut flipped = blob.clone();
        flipped[at] ^= 1;
        assert_eq!(fault(&flipped), Some(Fault::Checksum), "byte {at}");
    }
}

/// Everything a reader could ask, of every unit; returns how many answers there were.
fn walk(table: &Table<'_>) -> usize {
    let mut answers = table.messages().count() + table.diagnostics().count();
    for index in 0..table.len() + 2 {
        answers += usize::from(table.unit(index).is_some());
        answers += (0..5000).map_while(|nth| table.need(index, nth)).count();
        answers += table.description(index).len();
        answers += usize::from(table.name(index).is_some_and(|n| table.index_of(n) == Some(index)));
        if let Some(launch) = table.launch(index) {
            answers += launch.argv.count() + launch.envp.count() + launch.groups.count();
        }
    }
    answers
}

#[test]
fn a_copied_unit_is_written_again_as_it_was() {
    let blob = sample();
    let table = Table::read(&blob).expect("valid");
    let copies: Vec<Entry> =
        (0..table.len()).map(|index| Entry::copy(&table, index).expect("a unit")).collect();
    assert_eq!(Entry::copy(&table, table.len()), None);
    let messages = [("bad".to_string(), "bad.toml:1:1: error: no".to_string())];
    assert_eq!(encode(&copies, &messages).expect("fits"), blob);
    // Beside other units: what it needs is the same, and so is its fingerprint.
    let web = copies.iter().find(|entry| entry.unit.name == "web").expect("web");
    let blob = encode(&[entry("ghost"), web.clone()], &[]).expect("fits");
    let beside = Table::read(&blob).expect("valid");
    let index = beside.index_of("web").expect("web");
    assert_eq!(beside.unit(index), table.unit(table.index_of("web").expect("web")));
    let needs: Vec<On<'_>> =
        (0..).map_while(|nth| beside.need(index, nth)).map(|need| need.on).collect();
    let expected = [On::Missing("db"), On::Condition("network:eth0:address"), On::Unit(0)];
    assert_eq!(needs.get(..3), Some(&expected[..]));
}
