//! `completion SHELL`: what a shell has to know to complete verbs, options and names of units.

use crate::code::Code;
use clap::ValueEnum;
use std::io::Write;

/// Shells that can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Verbs that take names of units.
const OF_UNITS: &str = "status is-active is-failed is-loaded is-enabled enable disable mask unmask \
                        start stop restart try-restart reload reset run kill logs why tree svc svstat \
                        svok";

/// Prints the script for `shell`, made from the command line's own description.
pub(crate) fn completion(shell: Shell) -> Code {
    let written = std::io::stdout().write_all(script(shell).as_bytes());
    if written.is_ok() { Code::Done } else { Code::Failed }
}

fn script(shell: Shell) -> String {
    let mut command = crate::arguments::command();
    let mut bytes = Vec::new();
    let generator = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    clap_complete::generate(generator, &mut command, "ettan", &mut bytes);
    let script = String::from_utf8_lossy(&bytes).into_owned();
    match shell {
        Shell::Bash => script + &bash(),
        Shell::Zsh => zsh(&script),
        Shell::Fish => script + &fish(),
    }
}

/// Names have no character that a shell could take for its own (ettan-unit(5)).
fn bash() -> String {
    let verbs = OF_UNITS.replace(' ', "|");
    format!(
        r#"
_ettan_and_units() {{
    _ettan "$@"
    case "${{COMP_WORDS[1]}}" in
        {verbs})
            if [[ $COMP_CWORD -ge 2 && "${{COMP_WORDS[COMP_CWORD]}}" != -* ]]; then
                COMPREPLY=($(compgen -W "$(ettan list --names 2>/dev/null)" -- "${{COMP_WORDS[COMP_CWORD]}}"))
            fi
            ;;
    esac
}}
complete -F _ettan_and_units -o bashdefault -o default ettan
"#
    )
}

fn zsh(script: &str) -> String {
    let units =
        "_ettan_units() {\n    compadd -- ${(f)\"$(ettan list --names 2>/dev/null)\"}\n}\n\n";
    let script = script.replace(":units:_default", ":units:_ettan_units");
    let (first, rest) = script.split_once('\n').unwrap_or((&script, ""));
    format!("{first}\n\n{units}{rest}")
}

fn fish() -> String {
    format!(
        "complete -c ettan -n \"__fish_seen_subcommand_from {OF_UNITS}\" -f -a \"(ettan list --names 2>/dev/null)\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::{Shell, script};
    use std::process::Command;

    fn completed_by_bash(words: &str, last: usize) -> String {
        let ask = format!(
            "{}\nettan() {{ echo alpha; echo beta; }}\nCOMP_WORDS=({words}); COMP_CWORD={last}\n\
             _ettan_and_units ettan \"${{COMP_WORDS[{last}]}}\" ettan; echo \"${{COMPREPLY[*]}}\"",
            script(Shell::Bash)
        );
        let output = Command::new("bash").args(["-c", &ask]).output().expect("there is bash");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn bash_completes_verbs_and_units() {
        assert_eq!(completed_by_bash("ettan try-r", 1).trim(), "try-restart");
        assert_eq!(completed_by_bash("ettan why b", 2).trim(), "beta");
        assert_eq!(completed_by_bash("ettan stop ''", 2).trim(), "alpha beta");
        assert_eq!(completed_by_bash("ettan completion zs", 2).trim(), "zsh");
    }

    #[test]
    fn zsh_and_fish_ask_for_units() {
        let zsh = script(Shell::Zsh);
        assert!(zsh.starts_with("#compdef ettan\n") && zsh.contains("_ettan_units() {"));
        assert!(zsh.contains(":units:_ettan_units'") && !zsh.contains(":units:_default"));
        assert!(
            script(Shell::Fish).contains(
                "try-restart reload reset run kill logs why tree svc svstat svok\" -f -a"
            )
        );
    }
}
