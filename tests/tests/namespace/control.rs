//! F4: what comes at the control socket. A bad client harms itself only.

use ettan_tests::units::{idle, shell};
use ettan_tests::{Client, Limit, Machine, Namespace, Operate, Received};

fn booted() -> Namespace {
    let mut machine = Namespace::usual();
    machine.unit("web", &idle());
    machine.boot();
    machine.expect(&["web up"]);
    machine
}

/// One client's packet and the answer to it.
fn answer(machine: &Namespace, packet: &[u8]) -> Received {
    let client = Client::connect(&machine.socket()).expect("somebody listens");
    client.send(packet).expect("a packet is taken");
    client.receive(Limit::seconds(20))
}

/// Without the logger, services would stand still at full pipes.
#[test]
fn what_belongs_to_process_1_is_restarted_but_not_stopped() {
    let mut machine = booted();
    for helper in ["ettan-log", "ettan-watch", "ettan-load"] {
        let refused = machine.ettan(&format!("stop {helper}"));
        assert!(refused.code != 0 && refused.err.contains("belongs to PID 1"), "{refused:?}");
    }
    let logger = machine.main_pid("ettan-log");
    assert_eq!(machine.ettan("restart ettan-log").code, 0);
    assert_ne!(machine.main_pid("ettan-log"), logger);
}

#[test]
fn f4_1_more_clients_than_there_is_room_for() {
    let mut machine = booted();
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.extend(Client::connect(&machine.socket()));
    }
    assert_eq!(machine.ettan("is-active web").code, 0, "root is shut out");
    drop(clients);
    assert_eq!(machine.ettan("is-active web").code, 0);
}

/// The file is deleted, or something else is put in its place: after HUP there is a socket again.
#[test]
fn f4_5_socket_deleted_or_replaced() {
    let mut machine = booted();
    let old = Client::connect(&machine.socket()).expect("somebody listens");
    let socket = "/run/ettan/control.sock";
    for damage in [
        format!("rm {socket}"),
        format!("mv {socket} {socket}.old"),
        format!("echo nobody >{socket}.new; mv {socket}.new {socket}"),
        format!("rm {socket}; ln -s /run/nowhere {socket}"),
    ] {
        assert_eq!(machine.sh(&damage).code, 0, "{damage}");
        assert_ne!(machine.ettan("is-active web").code, 0, "{damage}");
        let _ = machine.sh("kill -HUP 1");
        machine.until("somebody listens again", |machine| machine.ettan("is-active web").code == 0);
    }
    // Whoever was in stays in.
    old.send(br#"{"verb":"is-active","unit":"web"}"#).expect("a packet is taken");
    assert!(matches!(old.receive(Limit::seconds(20)), Received::Packet(_)));
    assert_eq!(machine.told("web starting"), 1);
}

#[test]
fn f4_1_silent_clients_are_let_go() {
    let machine = booted();
    let clients: Vec<Client> =
        (0..40).filter_map(|_| Client::connect(&machine.socket()).ok()).collect();
    // Whoever says nothing for five seconds is told, or just let go.
    for client in &clients {
        while !matches!(client.receive(Limit::seconds(20)), Received::Closed) {
            assert!(!machine.limit().over(), "a silent client is kept");
        }
    }
}

#[test]
fn f4_2_slow_follower_is_dropped() {
    let mut machine = booted();
    let follower = Client::connect(&machine.socket()).expect("somebody listens");
    follower.send(br#"{"verb":"events"}"#).expect("a request is taken");
    {
        let noisy =
            format!("{}restart-sec = \"1ms\"\nrestart-max-delay-sec = \"1ms\"\n", shell("exit 1"));
        for number in 0..10 {
            machine.unit(&format!("noisy{number}"), &noisy);
        }
        assert_eq!(machine.ettan("reload-units").code, 0);
        machine.until("much has been told", |machine| {
            machine.status("noisy0")["restarts"].as_u64().is_some_and(|count| count > 80)
        });
    }
    let mut last = String::new();
    loop {
        match follower.receive(Limit::seconds(20)) {
            Received::Packet(packet) => last = packet,
            Received::Closed => break,
            Received::Late => panic!("a follower that does not read is kept; last: {last}"),
        }
    }
    assert!(last.contains("lost"), "{last}");
    assert_eq!(machine.ettan("is-active web").code, 0);
}

#[test]
fn f4_3_rubbish() {
    let mut machine = booted();
    let nested = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    let packets: [&[u8]; 14] = [
        b"rubbish",
        b"{",
        b"{}",
        b"[]",
        b"null",
        b"\0\0\0\0",
        b"\xff\xfe\xfd",
        br#"{"verb":"nosuch"}"#,
        br#"{"verb":"start"}"#,
        br#"{"verb":"start","unit":7}"#,
        br#"{"verb":"status","unit":""}"#,
        br#"{"verb":"status","unit":"../../etc/passwd"}"#,
        br#"{"verb":"kill","unit":"web","signal":200}"#,
        nested.as_bytes(),
    ];
    for packet in packets {
        let text = String::from_utf8_lossy(packet);
        match answer(&machine, packet) {
            Received::Packet(reply) => {
                assert!(reply.contains(r#""reply":"error""#), "{text}: {reply}");
            }
            Received::Closed => {}
            Received::Late => panic!("{text}: no answer"),
        }
    }
    let long = vec![b'x'; 60_000];
    assert!(!matches!(answer(&machine, &long), Received::Late));
    assert_eq!(machine.ettan("is-active web").code, 0);
}

#[test]
fn f4_3_second_request_before_the_first_is_answered() {
    let machine = booted();
    let client = Client::connect(&machine.socket()).expect("somebody listens");
    for _ in 0..100 {
        let _ = client.send(br#"{"verb":"status","unit":"web"}"#);
    }
    let mut answers = 0;
    while let Received::Packet(_) = client.receive(Limit::seconds(2)) {
        answers += 1;
    }
    assert!(answers >= 1);
}

#[test]
fn f4_4_client_goes_in_the_middle() {
    let mut machine = booted();
    machine.unit(
        "slow",
        &format!("{}type = \"oneshot\"\nremain-after-exit = true\n", shell("sleep 0.5")),
    );
    assert_eq!(machine.ettan("--no-block reload-units").code, 0);
    let _ = machine.sh("timeout -s KILL 0.1 ettan restart slow");
    machine.until("it is done all the same", |machine| machine.ettan("is-active slow").code == 0);
}

#[test]
fn f4_6_start_against_stop() {
    let mut machine = booted();
    let race = "for n in $(seq 30); do ettan --no-block start web & ettan --no-block stop web & \
                ettan --no-block restart web & done; wait";
    let _ = machine.sh(race);
    assert_eq!(machine.ettan("start web").code, 0);
    assert_eq!(machine.running("sleep 100000").len(), 1);
    assert_eq!(machine.ettan("stop web").code, 0);
    assert!(machine.running("sleep 100000").is_empty());
}

#[test]
fn f4_7_who_may_ask_what() {
    let mut machine = booted();
    let viewer = "setpriv --reuid 990 --regid 991 --clear-groups";
    let stranger = "setpriv --reuid 990 --regid 990 --clear-groups";
    assert_eq!(machine.sh(&format!("{viewer} ettan is-active web")).code, 0);
    assert_eq!(machine.sh(&format!("{viewer} ettan stop web")).code, 4);
    let operator = "setpriv --reuid 990 --regid 992 --groups 991";
    assert_eq!(machine.sh(&format!("{operator} ettan start web")).code, 0);
    assert_eq!(machine.sh(&format!("{operator} ettan kill -s TERM web")).code, 4);
    assert_eq!(machine.sh(&format!("{operator} ettan reload-units")).code, 4);
    assert_eq!(machine.sh(&format!("{operator} ettan reboot")).code, 4);
    assert_ne!(machine.sh(&format!("{stranger} ettan is-active web")).code, 0);
    assert_ne!(machine.sh(&format!("{stranger} ettan reboot")).code, 0);
    assert_eq!(machine.ettan("is-active web").code, 0);
    assert_eq!(machine.told("web stopping"), 0);
}

#[test]
fn f4_10_another_version() {
    let machine = booted();
    let Received::Packet(reply) = answer(&machine, br#"{"verb":"hello","version":99}"#) else {
        panic!("no answer");
    };
    assert!(reply.contains("version") && reply.contains("error"), "{reply}");
}

#[test]
fn exit_codes_are_as_listed() {
    let mut machine = booted();
    machine.unit("broken", "[service]\nexec-start = \"/nosuch\"\nrestart = \"no\"\n");
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.expect(&["broken failed"]);
    let codes = [
        ("status web", 0),
        ("is-active web", 0),
        ("start web", 0),
        ("status broken", 3),
        ("is-active broken", 3),
        ("start broken", 1),
        ("status nosuch", 4),
        ("is-active nosuch", 4),
        ("nosuchverb", 2),
        ("kill -s NOSUCH web", 2),
        ("kill -s TERM broken", 7),
        ("stop web", 0),
        ("stop web", 0),
        ("is-active web", 3),
        ("kill -s TERM web", 7),
    ];
    for (command, code) in codes {
        let output = machine.ettan(command);
        assert_eq!(output.code, code, "ettan {command}: {output:?}");
    }
}

#[test]
fn json_is_one_object_a_line() {
    let mut machine = booted();
    for command in ["status --json", "list --json", "status --json web"] {
        let output = machine.ettan(command).ok();
        assert!(!output.is_empty());
        for line in output.lines() {
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(line);
            assert!(parsed.is_ok_and(|value| value.is_object()), "ettan {command}: {line}");
        }
    }
    let all = machine.ettan("status --json").out;
    assert!(all.contains(r#""allocations_after_boot":0"#), "{all}");
}
