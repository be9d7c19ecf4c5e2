//! The status light: what it shows follows the machine.

use ettan_tests::units::{idle, shell, shipped, with};
use ettan_tests::{Machine, Namespace, Operate};

/// What the light does, in a word.
fn light(machine: &mut Namespace) -> String {
    machine.sh("cd /tmp/leds/ACT; for file in trigger delay_on; do cat $file; echo ' '; done").out
}

fn shows(machine: &mut Namespace, trigger: &str, delay: &str) {
    machine.until(trigger, |machine| {
        let now = light(machine);
        now.starts_with(trigger) && now.contains(delay)
    });
}

#[test]
fn a_light_says_how_it_stands_with_the_machine() {
    let mut machine = Namespace::usual();
    let _ = machine
        .sh("mkdir -p /tmp/leds/ACT && mkfifo /tmp/go && cd /tmp/leds/ACT && \
             echo 'none [mmc0] timer heartbeat pattern' >trigger && echo 255 >max_brightness")
        .ok();
    let unit = shipped("led").replace("\"led\"", "\"led\", \"--leds\", \"/tmp/leds\"");
    machine.unit("led", &unit.replace("led --back", "led --leds /tmp/leds --back"));
    machine.unit("slow", &format!("{}type = \"oneshot\"\n", shell("read word </tmp/go")));
    machine.unit("web", &with("critical = true", &idle()));
    machine.boot();
    machine.expect(&["web up"]);
    shows(&mut machine, "timer", "100 ");
    let _ = machine.sh("echo now >/tmp/go").ok();
    shows(&mut machine, "heartbeat", "");
    // One that nobody needs, then one that the machine is for.
    machine.unit("bad", "[service]\nexec-start = \"/bin/nosuch\"\nrestart = \"no\"\n");
    assert_eq!(machine.ettan("reload-units").code, 0);
    shows(&mut machine, "timer", "1000 ");
    let worse = with("critical = true", &shell("exit 1"));
    machine.unit("worse", &format!("{worse}restart = \"no\"\n"));
    assert_eq!(machine.ettan("reload-units").code, 0);
    shows(&mut machine, "pattern", "");
    assert_eq!(machine.ettan("reset bad worse").code, 0);
    shows(&mut machine, "heartbeat", "");
    assert_eq!(machine.ettan("stop led").code, 0);
    assert!(light(&mut machine).starts_with("mmc0"), "as it was before");
}
