//! The system's bus. systemd opens its socket and starts other services for it; here dbus-daemon does both
//! itself, as it did before systemd.

use crate::draft::Draft;
use crate::value::Value;

/// Takes from a command of dbus-daemon what only systemd answers; what that means, if there was any.
pub(crate) fn opens_its_socket(words: &mut Vec<String>, draft: &mut Draft) -> Option<String> {
    const ADDRESS: &str = "--address=systemd:";
    if !["--system", ADDRESS].iter().all(|option| words.iter().any(|word| word == option)) {
        return None;
    }
    words.retain(|word| word != ADDRESS && word != "--systemd-activation");
    // Where /usr/share/dbus-1/system.conf has the socket.
    draft.put("service", "runtime-directory", Value::List(vec!["dbus".to_owned()]), None);
    Some("it opens its socket itself, and starts services that are asked for by itself".to_owned())
}
