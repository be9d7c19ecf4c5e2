//! What badly behaved clients get, and that nobody else notices.

use super::*;
use ettan_wire::{Change, Follow, Which};

fn look(unit: &str) -> Request {
    Request::IsActive(Which { unit: unit.into() })
}

/// Whether somebody else is still served.
fn serves(world: &mut World) -> bool {
    let client = world.client();
    world.ask(&client, &look("web")).len() == 1
}

#[test]
fn f4_1_a_thousand_connections_leave_a_place_for_root() {
    let mut world = World::new(&["web"]);
    let mut crowd = Vec::new();
    for _ in 0..1_000 {
        crowd.push(world.client());
        assert!(world.control.count() <= CLIENTS);
        if crowd.len() > 100 {
            crowd.remove(0);
        }
    }
    assert!(serves(&mut world));
}

#[test]
fn f4_1_busy_viewers_leave_a_place_for_root() {
    let mut world = World::new(&["web"]);
    let viewers: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let viewer = world.viewer();
            if viewer.next().is_none() {
                viewer.send(&Request::Events(Follow { recent: false }));
                world.turn();
            }
            viewer
        })
        .collect();
    assert_eq!(world.control.count(), CLIENTS - FOR_ROOT);
    assert!(viewers.last().unwrap().is_closed());
    // And more than one: the watcher has a connection that stays.
    let _watcher = world.client();
    assert!(serves(&mut world));
}

#[test]
fn f4_1_who_asks_nothing_is_sent_away_after_five_seconds() {
    let mut world = World::new(&["web"]);
    let idle = world.client();
    let follower = world.client();
    world.ask(&follower, &Request::Events(Follow { recent: false }));
    assert_eq!(world.control.next_deadline(), Some(world.now.after(client::IDLE_MS)));
    world.now = world.now.after(client::IDLE_MS);
    world.turn();
    assert_eq!(refused_with(&idle.replies()), Some(ErrorCode::Idle));
    assert!(idle.is_closed());
    assert!(!follower.is_closed());
    assert_eq!(world.control.next_deadline(), None);
}

#[test]
fn f4_2_a_list_nobody_reads_is_given_up() {
    let names: Vec<String> = (0..1_000).map(|number| format!("u{number}")).collect();
    let mut world = World::with(names.iter().map(|name| unit(name)).collect());
    let slow = world.client();
    slow.send(&Request::List);
    world.turns(100);
    let before = world.control.next_deadline();
    assert!(before.is_some());
    assert!(serves(&mut world));
    world.now = world.now.after(client::IDLE_MS);
    world.turn();
    assert_eq!(world.control.count(), 0);
}

#[test]
fn f4_2_a_follower_that_falls_behind_is_told_and_dropped() {
    let mut world = World::new(&["web"]);
    let (slow, quick) = (world.client(), world.client());
    world.ask(&slow, &Request::Events(Follow { recent: false }));
    let client = world.client();
    let start = Request::Start(Change { unit: "web".into(), wait: false });
    for _ in 0..500 {
        world.ask(&client, &start);
        world.crash("web", ExitStatus::Code(1));
    }
    world.ask(&quick, &look("web"));
    let mut replies = Vec::new();
    for _ in 0..100 {
        replies.extend(slow.replies());
        world.turn();
    }
    let Some(Reply::Lost(lost)) = replies.last() else { panic!("{:?}", replies.last()) };
    assert!(lost.missed > 0);
    assert!(slow.is_closed());
    assert!(!quick.is_closed());
}

#[test]
fn f4_3_rubbish_ends_its_own_connection_only() {
    let mut world = World::new(&["web"]);
    let good = world.client();
    let too_long = [b' '; MAX_PACKET + 10];
    for packet in [&b"\0"[..], b"\xff\xff", b"{\"verb\":", b"[[[[[[[[", &too_long] {
        let bad = world.client();
        bad.raw(packet);
        world.turns(2);
        assert_eq!(refused_with(&bad.replies()), Some(ErrorCode::BadRequest));
        assert!(bad.is_closed());
    }
    let stranger = world.client();
    stranger.raw(b"{\"verb\":\"dance\"}");
    world.turns(2);
    assert_eq!(refused_with(&stranger.replies()), Some(ErrorCode::UnknownVerb));
    assert_eq!(world.ask(&good, &look("web")).len(), 1);
}

#[test]
fn f4_3_an_empty_packet_is_a_goodbye() {
    let mut world = World::new(&["web"]);
    let client = world.client();
    client.raw(b"");
    world.turns(2);
    assert!(client.is_closed());
    assert!(serves(&mut world));
}

#[test]
fn f4_3_two_requests_before_an_answer_end_the_connection() {
    let mut world = World::new(&["web"]);
    world.stubborn = true;
    let client = world.client();
    world.ask(&client, &Request::Start(Change { unit: "web".into(), wait: true }));
    client.send(&Request::Stop(Change { unit: "web".into(), wait: true }));
    client.send(&look("web"));
    world.turns(3);
    let replies = client.replies();
    assert_eq!(replies[0], Reply::Accepted);
    assert_eq!(refused_with(&replies[1..]), Some(ErrorCode::Busy));
    assert!(client.is_closed());
}

#[test]
fn f4_4_what_a_client_asked_for_stands_when_it_is_gone() {
    let mut world = World::new(&["web"]);
    let client = world.client();
    client.send(&Request::Start(Change { unit: "web".into(), wait: true }));
    drop(client);
    world.turns(2);
    assert_eq!(world.control.count(), 0);
    assert!(world.pid("web").is_some());
}

#[test]
fn f4_4_a_client_that_waits_may_leave() {
    let mut world = World::new(&["web"]);
    let client = world.client();
    world.ask(&client, &Request::Start(Change { unit: "web".into(), wait: true }));
    world.stubborn = true;
    world.ask(&client, &Request::Stop(Change { unit: "web".into(), wait: true }));
    drop(client);
    world.turns(2);
    assert_eq!(world.control.count(), 0);
    world.crash("web", ExitStatus::Code(0));
    world.turn();
    assert!(serves(&mut world));
}

#[test]
fn f4_5_a_deleted_socket_is_made_anew_and_clients_stay() {
    let mut world = World::new(&["web"]);
    let old = world.client();
    std::fs::remove_file(&world.path).unwrap();
    let path = world.c_path();
    world.control.mend(&world.epoll, path).unwrap();
    assert!(serves(&mut world));
    // Nothing to mend now: the file stays the same one.
    let before = world.control.door.is_at(path);
    world.control.mend(&world.epoll, path).unwrap();
    assert!(before && world.control.door.is_at(path));
    assert_eq!(world.ask(&old, &look("web")).len(), 1);
}

#[test]
fn f4_6_the_last_command_wins_and_the_first_is_told() {
    let mut world = World::with(vec![Unit { kind: Kind::Forking, ..unit("web") }]);
    let (starter, stopper) = (world.client(), world.client());
    let change = |wait| Change { unit: "web".into(), wait };
    // The launcher never ends, so the start stays under way.
    assert_eq!(world.ask(&starter, &Request::Start(change(true))), [Reply::Accepted]);
    let stopped = world.ask(&stopper, &Request::Stop(change(true)));
    assert!(matches!(stopped[..], [Reply::Accepted, Reply::Done(_)]), "{stopped:?}");
    let started = starter.replies();
    assert!(matches!(started[..], [Reply::Failed(_)]), "{started:?}");
}

#[test]
fn f4_7_a_viewer_may_look_and_nothing_else() {
    let mut world = World::new(&["web"]);
    let viewer = world.viewer();
    assert!(matches!(world.ask(&viewer, &look("web"))[..], [Reply::Active(_)]));
    for request in [
        Request::Start(Change { unit: "web".into(), wait: true }),
        Request::ReloadUnits(ettan_wire::Reload { wait: false }),
        Request::Condition(ettan_wire::Condition { name: "network".into(), holds: true }),
    ] {
        let replies = world.ask(&viewer, &request);
        assert_eq!(refused_with(&replies), Some(ErrorCode::NotPermitted));
    }
    assert_eq!(world.commands, []);
}

#[test]
fn f4_7_an_operator_may_start_and_stop_and_nothing_else() {
    let mut world = World::new(&["web"]);
    let operator = world.guest(Peer::Operator);
    assert!(matches!(world.ask(&operator, &look("web"))[..], [Reply::Active(_)]));
    let stop = Request::Stop(Change { unit: "web".into(), wait: false });
    assert_eq!(world.ask(&operator, &stop), [Reply::Accepted]);
    assert_eq!(world.commands.len(), 1);
    for request in [
        Request::Kill(ettan_wire::Kill { unit: "web".into(), signal: 9 }),
        Request::ReloadUnits(ettan_wire::Reload { wait: false }),
        Request::Condition(ettan_wire::Condition { name: "network".into(), holds: true }),
        Request::Power(ettan_wire::Power { action: ettan_wire::PowerWord::Reboot, force: false }),
        Request::Reexec,
        Request::Flush,
    ] {
        let replies = world.ask(&operator, &request);
        assert_eq!(refused_with(&replies), Some(ErrorCode::NotPermitted));
    }
    assert_eq!(world.commands.len(), 1);
}

#[test]
fn f4_7_an_operator_starts_none_of_ettans_own_units() {
    let mut world = World::new(&["web"]);
    assert!(world.supervisor.builtin(unit("ettan-rescue")).is_some());
    let operator = world.guest(Peer::Operator);
    let change = || Change { unit: "ettan-rescue".into(), wait: false };
    for request in [
        Request::Start(change()),
        Request::Stop(change()),
        Request::Reset(ettan_wire::Which { unit: "ettan-rescue".into() }),
    ] {
        let replies = world.ask(&operator, &request);
        assert_eq!(refused_with(&replies), Some(ErrorCode::NotPermitted));
    }
    let root = world.client();
    assert_eq!(world.ask(&root, &Request::Start(change())), [Reply::Accepted]);
}

#[test]
fn f4_8_descriptors_that_come_with_a_packet_are_closed() {
    let mut world = World::new(&["web"]);
    let client = world.client();
    let (held, sent) = socket::seqpacket_pair().unwrap();
    let packet = br#"{"verb":"is-active","unit":"web"}"#;
    socket::send_fd(&client.0, packet, ettan_sys::AsFd::as_fd(&sent)).unwrap();
    drop(sent);
    world.turns(2);
    assert_eq!(client.replies().len(), 1);
    assert!(Client(held).is_closed());
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn f4_3_ten_thousand_packets_of_rubbish_change_nothing() {
    let mut world = World::new(&["web"]);
    let mut dice = Dice(4);
    let patterns: [&[u8]; 4] = [
        br#"{"verb":"status","unit":"web"}"#,
        br#"{"verb":"list"}"#,
        br#"{"verb":"hello","version":1}"#,
        br#"{"verb":"events","recent":true}"#,
    ];
    let mut client = world.client();
    for _ in 0..10_000 {
        let mut packet = patterns[dice.below(4) as usize].to_vec();
        for _ in 0..dice.below(4) {
            let place = dice.below(packet.len() as u64) as usize;
            packet[place] = dice.below(256) as u8;
        }
        client.raw(&packet);
        world.turn();
        client.replies();
        if client.is_closed() || !matches!(packet[9], b's' | b'l' | b'h') {
            client = world.client();
        }
    }
    assert_eq!(world.commands, []);
    assert!(serves(&mut world));
}

#[test]
fn f4_6_a_hundred_thousand_contrary_commands_end_as_the_last_one_says() {
    let names = ["web", "db", "mail"];
    let mut world = World::new(&names);
    let mut dice = Dice(5);
    let clients = [world.client(), world.client(), world.client()];
    let mut up = [false; 3];
    for round in 0..100_000 {
        let (client, which) = (&clients[dice.below(3) as usize], dice.below(3) as usize);
        let change = Change { unit: names[which].into(), wait: dice.below(2) == 0 };
        let request = match dice.below(5) {
            0 | 1 => Request::Start(change),
            2 | 3 => Request::Stop(change),
            _ => Request::Restart(change),
        };
        up[which] = !matches!(request, Request::Stop(_));
        let before = world.pid(names[which]);
        let replies = world.ask(client, &request);
        assert_eq!(replies[0], Reply::Accepted, "round {round}");
        let restarted = matches!(request, Request::Restart(_));
        assert!(!restarted || world.pid(names[which]) != before, "round {round}");
        for (name, up) in names.iter().zip(up) {
            assert_eq!(world.pid(name).is_some(), up, "round {round}: {name}");
        }
    }
}

/// A child that has not executed yet holds copies of all descriptors (`tests/FAULTS.md` 3.9).
#[test]
fn f3_9_a_client_that_left_is_not_told_of_again_although_a_child_holds_its_socket() {
    let mut world = World::new(&["web"]);
    let client = world.client();
    let sockets = world.control.clients.iter().flatten();
    let copies: Vec<OwnedFd> = sockets.map(|client| client.socket.try_clone().unwrap()).collect();
    assert_eq!(copies.len(), 1);
    drop(client);
    world.turn();
    assert_eq!(world.control.count(), 0);
    assert_eq!(world.epoll.wait(&mut [Ready::default(); 4], Some(0)), Ok(0));
}
