//! The status page as a browser and as programs get it: that it says and does what the command does,
//! who may press a button, and that nobody keeps it from answering.

use ettan_tests::binaries::{Program, look, workspace};
use ettan_tests::units::shell;
use ettan_tests::{Machine, Namespace, Operate};
use serde_json::Value;

const HERE: &str = "http://127.0.0.1:9001";
const TOKEN: &str = "0123456789abcdefghij";
const SECRET: &str = "/etc/ettan-web.token";

/// The unit as it is shipped, and one that it shows; `options` in a drop-in, if they are to be others.
fn machine(options: &str) -> Namespace {
    assert!(look(Program::Web).is_some(), "ettan-web is not built: make host-musl does it");
    let mut machine = Namespace::usual();
    let shipped = std::fs::read(workspace().join("units/web/ettan-web.toml"));
    machine.write("/etc/units/ettan-web.toml", &shipped.expect("the shipped unit"));
    machine.unit("web", &shell("printf 'says <script>\\033[2J\\n'; exec sleep 100000"));
    if !options.is_empty() {
        let text = format!("[service]\nexec-start = \"/usr/bin/ettan-web {options}\"\n");
        machine.write("/etc/units/ettan-web.toml.d/options.toml", text.as_bytes());
    }
    machine.write(SECRET, format!("{TOKEN}\n").as_bytes());
    assert_eq!(machine.sh(&format!("chown 0:992 {SECRET} && chmod 640 {SECRET}")).code, 0);
    machine.boot();
    machine
}

fn up(options: &str) -> Namespace {
    let mut machine = machine(options);
    machine.until("both are up", |machine| machine.ettan("is-active web ettan-web").code == 0);
    machine
}

/// The page for the network, for whoever has the token.
fn with_token() -> Namespace {
    up(&format!("--listen 0.0.0.0:9001 --token-file {SECRET}"))
}

/// What curl says, and the status.
fn curl(machine: &mut Namespace, words: &str) -> (String, String) {
    let output = machine.sh(&format!("curl -sS -w '\\n%{{http_code}}' {words}"));
    assert_eq!(output.code, 0, "curl {words}: {output:?}");
    let (body, status) = output.out.rsplit_once('\n').expect("the status comes last");
    (body.to_owned(), status.to_owned())
}

fn status(machine: &mut Namespace, words: &str) -> String {
    curl(machine, &format!("-o /dev/null {words}")).1
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What stays the same from one look to the next: the time of a line is worked out anew each time.
fn lasting(mut unit: Value) -> Value {
    let fields = unit.as_object_mut().expect("an object");
    for field in ["now_ms", "memory_bytes", "tasks", "time"] {
        fields.remove(field);
    }
    unit
}

#[test]
fn the_page_says_what_the_command_says_and_changes_nothing_without_a_token() {
    let mut machine = up("");
    machine.until("it has spoken", |machine| machine.ettan("logs web").out.contains("says"));
    let (page, code) = curl(&mut machine, HERE);
    assert_eq!(code, "200", "{page}");
    assert!(page.contains("<a href=\"/units/web\">web</a>"), "{page}");
    assert!(page.contains(">up</b> for ") && !page.contains("<form"), "{page}");
    let (page, _) = curl(&mut machine, &format!("{HERE}/units/web"));
    assert!(page.contains("says &lt;script&gt;\\x1b[2J") && !page.contains('\x1b'), "{page}");

    let (unit, _) = curl(&mut machine, &format!("{HERE}/api/units/web"));
    assert_eq!(lasting(json(&unit)), lasting(machine.status("web")));
    let (units, _) = curl(&mut machine, &format!("{HERE}/api/units"));
    let names: Vec<_> = json(&units).as_array().expect("a list").clone();
    let names: Vec<_> = names.iter().map(|unit| unit["unit"].clone()).collect();
    assert_eq!(names, ["ettan-web", "web"]);
    let (log, _) = curl(&mut machine, &format!("{HERE}/api/units/web/log?lines=1"));
    let told = machine.ettan("logs --json -n 1 web").ok();
    assert_eq!(lasting(json(&log)[0].clone()), lasting(json(&told)));
    let (own, _) = curl(&mut machine, &format!("{HERE}/api/machine"));
    assert_eq!(json(&own)["allocations_after_boot"], 0);
    let (numbers, _) = curl(&mut machine, &format!("{HERE}/metrics"));
    assert!(numbers.contains("\nettan_unit_up{unit=\"web\"} 1\n"), "{numbers}");

    let pid = machine.main_pid("web");
    let post = format!("-X POST -H 'Origin: {HERE}' {HERE}");
    for path in ["/units/web/restart", "/api/units/web/restart"] {
        assert_eq!(status(&mut machine, &format!("{post}{path}")), "403", "{path}");
    }
    assert_eq!(status(&mut machine, &format!("-H 'Host: evil.example' {HERE}")), "421");
    assert_eq!(status(&mut machine, &format!("{HERE}/api/units/nosuch")), "404");
    assert_eq!(machine.main_pid("web"), pid);
}

#[test]
fn it_has_no_rights_of_its_own_and_comes_back_when_killed() {
    let mut machine = up("");
    let pid = machine.main_pid("ettan-web");
    let rights =
        machine.sh(&format!("grep -E '^(Uid|Gid|Groups|CapEff|NoNewPrivs)' /proc/{pid}/status"));
    let rights = rights.ok().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        rights,
        "Uid: 992 992 992 992 Gid: 992 992 992 992 Groups: 991 992 CapEff: 0000000000000000 NoNewPrivs: 1"
    );
    machine.kill9(pid);
    machine.until("it is back", |machine| machine.is_up_anew("ettan-web", pid));
    assert_eq!(status(&mut machine, HERE), "200");
}

#[test]
fn a_program_with_the_token_does_what_the_command_does() {
    let mut machine = with_token();
    assert_eq!(status(&mut machine, HERE), "303");
    for path in ["/api/units", "/metrics", "/api/units/web/log"] {
        assert_eq!(status(&mut machine, &format!("{HERE}{path}")), "401", "{path}");
    }
    let restart = format!("-X POST {HERE}/api/units/web/restart");
    let shows = format!("-H 'Authorization: Bearer {TOKEN}'");
    let pid = machine.main_pid("web");
    let wrong = "-H 'Authorization: Bearer 0123456789abcdefghi0'";
    assert_eq!(status(&mut machine, &format!("{wrong} {restart}")), "401");
    let foreign = format!("{shows} -H 'Origin: http://evil.example' {restart}");
    assert_eq!(status(&mut machine, &foreign), "403");
    assert_eq!(machine.main_pid("web"), pid);

    let (done, code) = curl(&mut machine, &format!("{shows} {restart}"));
    let now = machine.main_pid("web");
    assert_ne!(now, pid);
    assert_eq!(code, "200");
    let by_hand = json(&machine.ettan("--json restart web").ok());
    let then = machine.main_pid("web");
    let text =
        by_hand["text"].as_str().map(|text| text.replace(&then.to_string(), &now.to_string()));
    assert_eq!(json(&done)["text"].as_str(), text.as_deref());
    assert_eq!(json(&done)["reply"], by_hand["reply"]);
    let (refused, code) =
        curl(&mut machine, &format!("{shows} -X POST {HERE}/api/units/nosuch/start"));
    assert_eq!((code.as_str(), &json(&refused)["code"]), ("404", &"unknown-unit".into()));
    // PID 1 lets it say no more than what each unit shall be.
    let own = format!("{shows} -X POST {HERE}/api/units/ettan-log/stop");
    assert_eq!(status(&mut machine, &own), "403");
    // Nor does it end what is to answer.
    let page = machine.main_pid("ettan-web");
    for verb in ["stop", "restart"] {
        let asked = format!("{shows} -X POST {HERE}/api/units/ettan-web/{verb}");
        let (refused, code) = curl(&mut machine, &asked);
        assert_eq!((code.as_str(), &json(&refused)["code"]), ("403", &"not-permitted".into()));
        assert!(refused.contains("this page leaves itself alone"), "{refused}");
    }
    assert_eq!(machine.main_pid("ettan-web"), page);
}

#[test]
fn a_browser_shows_the_token_once_and_then_presses_buttons() {
    let mut machine = with_token();
    let ours = format!("-H 'Origin: {HERE}'");
    let login = format!("-c /tmp/jar --data-urlencode token={TOKEN} {HERE}/login");
    assert_eq!(status(&mut machine, &login), "403", "a form of nobody knows where");
    assert_eq!(status(&mut machine, &format!("{ours} {login}")), "303");
    let (page, _) = curl(&mut machine, &format!("-b /tmp/jar {HERE}"));
    assert!(page.contains("action=\"/units/web/restart\""), "{page}");
    let stop = format!("-b /tmp/jar -X POST {HERE}/units/web/stop");
    for origin in ["", "-H 'Origin: http://evil.example'", "-H 'Sec-Fetch-Site: cross-site'"] {
        assert_eq!(status(&mut machine, &format!("{origin} {stop}")), "403", "{origin}");
    }
    assert_eq!(machine.ettan("is-active web").code, 0);
    let (page, code) = curl(&mut machine, &format!("{ours} {stop}"));
    assert_eq!(code, "200", "{page}");
    assert!(page.contains("role=\"status\">web: down</p>"), "{page}");
    assert!(page.contains("action=\"/units/web/start\""), "{page}");
    assert_eq!(machine.ettan("is-active web").code, 3);
}

#[test]
fn an_address_of_the_network_without_a_token_is_refused_at_the_start() {
    let mut machine = machine("--listen 0.0.0.0:9001");
    machine.expect(&["ettan-web failed"]);
    machine.until("it says why", |machine| {
        let told = machine.ettan("logs ettan-web").out;
        told.contains("--listen 0.0.0.0:9001") && told.contains("--token-file FILE")
    });
}

/// Silent connections, one that ends in the middle of a line, endless headers, rubbish, lies about
/// lengths: while all are held, whoever asks properly is answered.
const STRIKE: &str = r#"
import http.client, os, socket
def talk(data):
    s = socket.create_connection(("127.0.0.1", 9001), 20)
    try:
        s.sendall(data)
    except OSError:
        pass
    return s
head = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:9001\r\n"
post = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1:9001\r\nOrigin: http://127.0.0.1:9001\r\n"
rubbish = [b"", head, head + b"X: ", b"\0" * 9000, os.urandom(9000), b"\x16\x03\x01\x02\0\x01\0",
    head + b"X: " + b"x" * 100000, head + b"X: y\r\n" * 5000, b"GET /" + b"a" * 70000,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    post + b"Content-Length: 1000000000\r\n\r\ntoken=x",
    post + b"Content-Length: -1\r\n\r\n", post + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    post + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /units/%00%ff%2e%2e%2f HTTP/1.1\r\nHost: 127.0.0.1:9001\r\n\r\n"]
held = []
for n in range(240):
    held.append(talk(rubbish[n % len(rubbish)]))
    if n % 8 == 0:
        c = http.client.HTTPConnection("127.0.0.1", 9001, timeout=20)
        c.request("GET", "/")
        answer = c.getresponse()
        page = answer.read()
        assert answer.status == 200 and b"/units/web" in page, (n, answer.status, page)
big = talk(head + b"X: " + b"x" * 100000 + b"\r\n\r\n")
try:
    told = big.recv(100)
except ConnectionResetError:
    told = b""
assert told == b"" or b" 431 " in told, told
print("answered")
"#;

#[test]
fn whoever_is_slow_endless_or_mad_keeps_nobody_from_an_answer() {
    let mut machine = up("");
    let pid = machine.main_pid("ettan-web");
    machine.write("/tmp/strike.py", STRIKE.as_bytes());
    assert_eq!(machine.sh("/usr/bin/python3 /tmp/strike.py").ok(), "answered");
    assert_eq!(machine.main_pid("ettan-web"), pid);
    assert_eq!(status(&mut machine, HERE), "200");
}
