//! Every message survives its packet; hostile packets give a fault and nothing else.
#![allow(clippy::unwrap_used, missing_docs)]

use ettan_wire::*;
use proptest::prelude::*;

fn request_round_trip(request: &Request) -> String {
    let mut packet = [0; MAX_PACKET];
    let length = encode_request(request, &mut packet).unwrap();
    let text = String::from_utf8(packet[..length].to_vec()).unwrap();
    assert_eq!(&decode_request(&mut packet[..length]).unwrap(), request, "{text}");
    text
}

fn reply_round_trip(reply: &Reply) -> String {
    let mut packet = [0; MAX_PACKET];
    let length = encode_reply(reply, &mut packet).unwrap();
    let text = String::from_utf8(packet[..length].to_vec()).unwrap();
    assert_eq!(&decode_reply(&mut packet[..length]).unwrap(), reply, "{text}");
    text
}

fn unit(name: &str, description: &str) -> UnitStatus {
    UnitStatus {
        unit: name.into(),
        group: None,
        description: description.into(),
        kind: KindWord::Forking,
        goal: GoalWord::Up,
        state: StateWord::Backoff,
        now_ms: u64::MAX,
        since_ms: Some(0),
        deadline_ms: None,
        main_pid: Some(i32::MAX),
        restarts: u32::MAX,
        in_a_row: 3,
        crash_looping: true,
        gave_up: true,
        unkillable: false,
        orphaned: false,
        file: Some("/etc/units/web.toml:7:1: error: unknown key `x`".into()),
        builtin: false,
        critical: true,
        reason: "killed by signal 9 (KILL)".into(),
        last_exit: Some("killed by signal 9 (KILL)".into()),
        hook: None,
        last_hook: None,
        blocked_by: Some(Blocked::Condition),
        waiting_for: Some("network".into()),
        says: Some("Serving 3 requests".into()),
        unwell: None,
        restart: "always".into(),
        autostart: true,
        timed: true,
        next_ms: Some(u64::MAX),
        awaits_clock: true,
        run_ms: Some(u64::MAX),
        ran_s: Some(i64::MIN),
        persistent: true,
        once: false,
        started_ms: Some(u64::MAX),
        ready_ms: None,
    }
}

#[test]
fn every_request_survives_its_packet() {
    let change = Change { unit: "web".into(), wait: true };
    let which = Which { unit: "web".into() };
    for (request, text) in [
        (Request::Hello(Hello { version: 1 }), r#"{"verb":"hello","version":1}"#),
        (Request::List, r#"{"verb":"list"}"#),
        (Request::Status(which.clone()), r#"{"verb":"status","unit":"web"}"#),
        (Request::IsActive(which), r#"{"verb":"is-active","unit":"web"}"#),
        (Request::Start(change.clone()), r#"{"verb":"start","unit":"web","wait":true}"#),
        (Request::Once(change.clone()), r#"{"verb":"once","unit":"web","wait":true}"#),
        (Request::Stop(change.clone()), r#"{"verb":"stop","unit":"web","wait":true}"#),
        (Request::Restart(change.clone()), r#"{"verb":"restart","unit":"web","wait":true}"#),
        (Request::Reset(Which { unit: "web".into() }), r#"{"verb":"reset","unit":"web"}"#),
        (Request::Reload(change), r#"{"verb":"reload","unit":"web","wait":true}"#),
        (
            Request::Kill(Kill { unit: "web".into(), signal: 9 }),
            r#"{"verb":"kill","unit":"web","signal":9}"#,
        ),
        (Request::Events(Follow { recent: true }), r#"{"verb":"events","recent":true}"#),
        (Request::ReloadUnits(Reload { wait: false }), r#"{"verb":"reload-units","wait":false}"#),
        (
            Request::Condition(Condition { name: "network".into(), holds: true }),
            r#"{"verb":"condition","name":"network","holds":true}"#,
        ),
        (
            Request::Power(Power { action: PowerWord::PowerOff, force: false }),
            r#"{"verb":"power","action":"poweroff","force":false}"#,
        ),
        (Request::Needs, r#"{"verb":"needs"}"#),
        (
            Request::Conditions(Conditions { follow: true }),
            r#"{"verb":"conditions","follow":true}"#,
        ),
        (
            Request::Ran(Ran { unit: "web".into(), second: -1 }),
            r#"{"verb":"ran","unit":"web","second":-1}"#,
        ),
        (Request::Stats, r#"{"verb":"stats"}"#),
    ] {
        assert_eq!(request_round_trip(&request), text);
    }
}

#[test]
fn every_reply_survives_its_packet() {
    let done = Finished { text: "web: up (pid 212)".into() };
    for reply in [
        Reply::Welcome(Welcome { version: 1, program: "0.1.0".into() }),
        Reply::Unit(unit("web", "a page")),
        Reply::Diagnostic(Diagnostic {
            unit: Some("a".into()),
            text: "a.toml:3:1: no such key\n  3 | x\n".into(),
        }),
        Reply::End(End { units: 3, diagnostics: 0 }),
        Reply::Active(Active { unit: "web".into(), active: false, state: StateWord::Failed }),
        Reply::Condition(Known { name: "network:eth0:address".into(), holds: true, wanted: false }),
        Reply::Need(Need {
            unit: "web".into(),
            what: Blocked::Unit,
            on: "db".into(),
            after: true,
            wants: false,
            requires: true,
            binds_to: true,
            conflicts: false,
            part_of: false,
            on_failure: true,
            cut: false,
        }),
        Reply::Accepted,
        Reply::Done(done.clone()),
        Reply::Failed(done),
        Reply::Event(EventLine {
            sequence: 7,
            at_ms: 8,
            unit: None,
            state: None,
            text: "shutdown: stopping units".into(),
        }),
        Reply::Lost(Lost { missed: 9 }),
        Reply::Error(Refusal {
            code: ErrorCode::UnknownUnit,
            text: "no unit called nope".into(),
            version: 1,
        }),
    ] {
        reply_round_trip(&reply);
    }
}

#[test]
fn f4_9_awkward_characters_survive() {
    let awkward = "q\" b\\ n\n t\t nul\0 esc\x1b[2J del\x7f c1\u{9b} å € 😀 \u{2028} end\\";
    let text = reply_round_trip(&Reply::Unit(unit(awkward, awkward)));
    assert!(text.contains(r#"q\" b\\ n\n t\t nul\u0000 esc\u001B[2J"#), "{text}");
    assert!(!text.bytes().any(|byte| byte < 0x20), "a control character went out raw: {text}");
}

#[test]
fn a_unit_of_nothing_but_escapes_still_fits_one_packet() {
    let control = "\u{1}".repeat(256);
    let mut all_escapes = unit(&control, &control);
    all_escapes.reason = control.as_str().into();
    let mut packet = [0; MAX_PACKET];
    let length = encode_reply(&Reply::Unit(all_escapes.clone()), &mut packet).unwrap();
    let Reply::Unit(read) = decode_reply(&mut packet[..length]).unwrap() else {
        unreachable!("not a unit")
    };
    assert_eq!(read.unit, all_escapes.unit);
    all_escapes.file = Some("\u{1}".repeat(640).as_str().into());
    assert!(encode_reply(&Reply::Unit(all_escapes), &mut packet).is_ok());
    let diagnostic = Diagnostic { unit: None, text: "\u{1}".repeat(1024).as_str().into() };
    assert!(encode_reply(&Reply::Diagnostic(diagnostic), &mut packet).is_ok());
}

#[test]
fn a_message_says_how_bad_it_is() {
    let of = |rest: &str| severity(&format!("/etc/units/web.toml:7:1{rest}"));
    assert_eq!(of(": error: no such key"), Some(Severity::Error));
    assert_eq!(of(": warning: `x: error: y` is odd"), Some(Severity::Warning));
    assert_eq!(of(": note: skipped: no such path"), Some(Severity::Note));
    assert_eq!(severity("more messages are in the log"), None);
}

#[test]
fn characters_above_ffff_may_come_as_two_escapes() {
    let mut packet = br#"{"verb":"status","unit":"\ud83d\ude00\\\u0041\""}"#.to_vec();
    let request = decode_request(&mut packet).unwrap();
    assert_eq!(request, Request::Status(Which { unit: "😀\\A\"".into() }));
    for half in
        [r#"{"verb":"status","unit":"\ud83d"}"#, r#"{"verb":"status","unit":"\ude00\ud83d"}"#]
    {
        assert_eq!(decode_request(&mut half.as_bytes().to_vec()), Err(Fault::Malformed), "{half}");
    }
    // A backslash that is itself escaped begins no escape.
    let mut packet = br#"{"verb":"status","unit":"\\ud83d\\ude00"}"#.to_vec();
    let request = decode_request(&mut packet).unwrap();
    assert_eq!(request, Request::Status(Which { unit: r"\ud83d\ude00".into() }));
}

#[test]
fn f4_3_rubbish_is_a_typed_fault() {
    for (packet, fault) in [
        (&b""[..], Fault::Malformed),
        (b"{", Fault::Malformed),
        (b"\0", Fault::Malformed),
        (b"\xff\xfe\xfd", Fault::Malformed),
        (b"GET / HTTP/1.0\r\n\r\n", Fault::Malformed),
        (b"{}", Fault::Malformed),
        (b"[]", Fault::Nested),
        (br#"{"verb":"list"}{"verb":"list"}"#, Fault::Nested),
        (br#"{"verb":"list"} x"#, Fault::Malformed),
        (br#"{"verb":"dance"}"#, Fault::Unknown),
        (br#"{"verb":"start"}"#, Fault::Malformed),
        (br#"{"verb":"start","unit":7}"#, Fault::Malformed),
        (br#"{"verb":"start","unit":"a","unit":"b"}"#, Fault::Malformed),
        (br#"{"verb":"start","unit":{"a":1}}"#, Fault::Nested),
        (br#"{"verb":"kill","unit":"a","signal":256}"#, Fault::Malformed),
        (br#"{"verb":"kill","unit":"a","signal":-9}"#, Fault::Malformed),
        (b"{\"verb\":\"status\",\"unit\":\"\xff\"}", Fault::Malformed),
    ] {
        let shown = String::from_utf8_lossy(packet).into_owned();
        assert_eq!(decode_request(&mut packet.to_vec()), Err(fault), "{shown}");
    }
    let long = format!(r#"{{"verb":"status","unit":"{}"}}"#, "a".repeat(65));
    assert_eq!(decode_request(&mut long.into_bytes()), Err(Fault::Malformed));
    assert_eq!(decode_request(&mut [b' '; MAX_PACKET + 1]), Err(Fault::TooBig));
    assert_eq!(decode_request(&mut [b'['; MAX_PACKET]), Err(Fault::Nested));
}

#[test]
fn unknown_fields_are_left_alone() {
    let mut packet = br#"{"verb":"list","since":12,"who":"me"}"#.to_vec();
    assert_eq!(decode_request(&mut packet), Ok(Request::List));
}

#[test]
fn signals_by_name_and_number() {
    for text in ["KILL", "kill", "SIGKILL", "sigkill", "9"] {
        assert_eq!(signal_number(text), Some(9), "{text}");
    }
    assert_eq!(signal_number("RTMIN+1"), Some(35));
    assert_eq!(signal_number("64"), Some(64));
    for text in ["", "SIG", "0", "65", "+9", "-9", "RTMIN+31", "NOPE", "ÅÄÖ"] {
        assert_eq!(signal_number(text), None, "{text}");
    }
    assert_eq!(Signal(9).to_string(), "9 (KILL)");
    assert_eq!(Signal(40).to_string(), "40");
    for number in 1..=31 {
        assert_eq!(signal_number(signal_name(number).unwrap()), Some(number));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_survives(name in "\\PC{0,16}", text in any::<String>()) {
        request_round_trip(&Request::Status(Which { unit: name.as_str().into() }));
        reply_round_trip(&Reply::Done(Finished { text: text.as_str().into() }));
        let mut status = unit(&name, "");
        status.description = text.as_str().into();
        reply_round_trip(&Reply::Unit(status));
    }
}

#[test]
fn spans_in_words() {
    for (ms, words) in [
        (0, "0 ms"),
        (250, "250 ms"),
        (1_000, "1 s"),
        (1_550, "1.5 s"),
        (30_000, "30 s"),
        (60_000, "1 min"),
        (125_000, "2 min 5 s"),
        (3_600_000, "1 h"),
        (11_040_000, "3 h 4 min"),
        (183_600_000, "2 d 3 h"),
    ] {
        assert_eq!(Span(ms).to_string(), words);
    }
    assert!(!Span(u64::MAX).to_string().is_empty());
}
