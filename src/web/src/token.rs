//! The secret that lets somebody in: read once from its file, compared in a time that tells nothing.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use subtle::ConstantTimeEq;

/// Fewer letters can be guessed.
const LETTERS_MIN: usize = 16;

/// More are no secret but a mistake: another file was meant.
const LETTERS_MAX: usize = 256;

/// May be read, or written, by everybody.
const EVERYBODY: u32 = 0o006;

/// The secret.
pub(crate) struct Token(String);

impl Token {
    /// The one line in this file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let file = path.display();
        let told = |error: std::io::Error| {
            format!(
                "--token-file {file}: {error}; it has to be there and readable for the user that \
                 ettan-web runs as"
            )
        };
        let opened = File::open(path).map_err(told)?;
        if opened.metadata().map_err(told)?.mode() & EVERYBODY != 0 {
            return Err(format!("--token-file {file}: everybody may read it; chmod 640 {file}"));
        }
        let mut text = String::new();
        let most = u64::try_from(LETTERS_MAX).unwrap_or(u64::MAX).saturating_add(2);
        opened.take(most).read_to_string(&mut text).map_err(told)?;
        Self::parse(&text).ok_or_else(|| {
            format!(
                "--token-file {file}: one line of {LETTERS_MIN} to {LETTERS_MAX} letters, digits and \
                 signs is wanted, without spaces; \
                 head -c 24 /dev/urandom | base64 >{file} makes one"
            )
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let token = text.trim_ascii_end();
        let fits = (LETTERS_MIN..=LETTERS_MAX).contains(&token.len())
            && token.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(token.to_owned()))
    }

    /// Whether this is it. How long that takes tells no more than whether the length is right.
    pub(crate) fn is(&self, shown: &str) -> bool {
        self.0.as_bytes().ct_eq(shown.as_bytes()).into()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    pub(crate) const SECRET: &str = "0123456789abcdef+/==";

    pub(crate) fn secret() -> Token {
        Token::parse(SECRET).unwrap()
    }

    #[test]
    fn only_the_whole_token_is_it() {
        let token = secret();
        assert!(token.is(SECRET));
        for other in ["", "0", &SECRET[1..], "0123456789abcdef+/=0", "0123456789abcdef+/== "] {
            assert!(!token.is(other), "{other}");
        }
    }

    #[test]
    fn a_file_that_is_no_secret_is_refused() {
        let path = std::env::temp_dir().join(format!("ettan-web-token-{}", std::process::id()));
        let try_it = |text: &str, mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Token::read(&path).map(|_| ()).err().unwrap_or_default()
        };
        assert_eq!(try_it("0123456789abcdef\n", 0o640), "");
        assert!(try_it("0123456789abcdef\n", 0o644).contains("chmod 640"));
        for text in ["", "short\n", "0123456789 abcdef\n", "0123456789abcdef\nmore\n"] {
            assert!(try_it(text, 0o600).contains("head -c 24"), "{text}");
        }
        assert!(try_it(&"x".repeat(1000), 0o600).contains("one line"));
        std::fs::remove_file(&path).unwrap();
        assert!(Token::read(&path).err().unwrap().contains("has to be there"));
    }
}
