//! The command line: where to listen, and the file of the token. What would open the machine to
//! everybody is refused here.

use crate::token::Token;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The port of Supervisor's page.
const PORT: u16 = 9001;

const HELP: &str = "\
The status page of a machine whose PID 1 is Ettan

Usage: ettan-web [--listen ADDRESS[:PORT]] [--token-file FILE]

Options:
      --listen ADDRESS[:PORT]  where to listen, in numbers: 127.0.0.1:9001 (the default), 0.0.0.0:9001,
                               [::1]:9001. Any but a loopback address wants --token-file
      --token-file FILE        whoever shows the token in FILE may come in, and may start and stop
                               units. Without one everybody on this machine may look, and nobody may
                               change anything
  -h, --help                   this text
  -V, --version                the version
";

/// What to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Where.
    pub(crate) listen: SocketAddr,
    /// Where the token is.
    pub(crate) token_file: Option<PathBuf>,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// The page.
    Serve(Options),
    /// A text.
    Say(String),
}

/// Reads the command line, the program's name first.
pub(crate) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Words, String> {
    use lexopt::Arg::{Long, Short};
    let wrong = |error: lexopt::Error| format!("{error} (ettan-web --help)");
    let mut words = lexopt::Parser::from_iter(words);
    let mut listen = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), PORT);
    let mut token_file = None;
    while let Some(word) = words.next().map_err(wrong)? {
        match word {
            Long("listen") => {
                let text = words.value().map_err(wrong)?;
                listen = address(&text.to_string_lossy())?;
            }
            Long("token-file") => token_file = Some(PathBuf::from(words.value().map_err(wrong)?)),
            Long("help") | Short('h') => return Ok(Words::Say(HELP.to_owned())),
            Long("version") | Short('V') => {
                return Ok(Words::Say(format!("ettan-web {}\n", env!("CARGO_PKG_VERSION"))));
            }
            other => return Err(wrong(other.unexpected())),
        }
    }
    Ok(Words::Serve(Options { listen, token_file }))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = || Some(SocketAddr::new(text.parse().ok()?, PORT));
    text.parse().ok().or_else(bare).ok_or_else(|| {
        format!("--listen {text}: an address in numbers is meant: 127.0.0.1:{PORT}, [::1]:{PORT}")
    })
}

/// Whether only this machine itself gets there.
pub(crate) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

impl Options {
    /// The token, if there is to be one. Without it the page is for this machine alone.
    pub(crate) fn token(&self) -> Result<Option<Token>, String> {
        match &self.token_file {
            Some(file) => Token::read(file).map(Some),
            None if is_loopback(self.listen.ip()) => Ok(None),
            None => Err(format!(
                "--listen {}: everybody in the network would get there; give --token-file FILE with \
                 a secret of 16 letters or more, or listen on 127.0.0.1 (docs/ettan-web.8.md)",
                self.listen
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Result<Options, String> {
        let words = ["ettan-web"].iter().chain(words).map(OsString::from);
        match read(words)? {
            Words::Serve(options) => Ok(options),
            Words::Say(text) => Err(text),
        }
    }

    #[test]
    fn without_words_it_is_for_this_machine_and_only_looks() {
        let options = options(&[]).unwrap();
        assert_eq!(options.listen.to_string(), "127.0.0.1:9001");
        assert!(options.token().unwrap().is_none());
    }

    #[test]
    fn an_address_of_the_network_wants_a_token() {
        for address in ["0.0.0.0:9001", "[::]:80", "192.0.2.1", "::ffff:192.0.2.1"] {
            let refused = options(&["--listen", address]).unwrap().token().err().unwrap();
            assert!(refused.contains("--token-file FILE"), "{refused}");
        }
        for address in ["127.0.0.2:80", "[::1]:80", "[::ffff:127.0.0.1]:80", "::1"] {
            assert!(options(&["--listen", address]).unwrap().token().is_ok(), "{address}");
        }
    }

    #[test]
    fn what_is_typed_wrongly_is_told() {
        for (words, told) in [
            (&["--listen", "localhost:80"][..], "an address in numbers"),
            (&["--listen"], "--help"),
            (&["--lisen", "x"], "--help"),
            (&["word"], "--help"),
            (&["--token-file", "/nonexistent/token", "--help"], "Usage: ettan-web"),
        ] {
            let said = options(words).unwrap_err();
            assert!(said.contains(told), "{words:?}: {said}");
        }
    }

    #[test]
    fn the_manual_has_every_option() {
        let manual = include_str!("../../../docs/ettan-web.8.md");
        for option in HELP.split_whitespace().filter(|word| word.starts_with("--")) {
            assert!(manual.contains(option.trim_end_matches(&[']', '.'][..])), "{option}");
        }
    }
}
