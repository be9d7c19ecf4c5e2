//! Programs, scripts and libraries of made-up roots: what would only show when a unit starts.

mod common;

use common::{
    AARCH64, ARM, Elf, Root, X86_64, assert_said, cpu, elf, program, said, service, wish,
};
use ettan_check::{Cpu, Wish, check};
use ettan_unit::Severity;

/// A unit that executes `command`, and says who as.
fn unit(root: &Root, name: &str, command: &str) {
    root.unit(name, format!("[service]\nexec-start = \"{command}\"\nuser = \"root\"\n"));
}

#[test]
fn programs_must_be_there_and_executable() {
    let root = Root::new();
    program(&root, "/sbin/init", elf(ARM).bytes());
    program(&root, "/bin/sh", elf(ARM).bytes());
    let contents: [(&str, &[u8]); 5] = [
        ("ok", b"#! /bin/sh -e\n"),
        ("orphan", b"#!/bin/gone\n"),
        ("relative", b"#!sh\n"),
        ("empty", b""),
        ("text", b"hello"),
    ];
    for (name, content) in contents {
        program(&root, &format!("/bin/{name}"), content);
        unit(&root, name, &format!("/bin/{name}"));
    }
    program(&root, "/bin/mode", "#!/bin/sh\n");
    root.mode("/bin/mode", 0o644);
    for name in ["mode", "gone", "dir"] {
        unit(&root, name, &format!("/bin/{name}"));
    }
    std::fs::create_dir(root.at("/bin/dir")).unwrap();
    assert_said(
        &wish(&root),
        &[
            "orphan.toml:2:14: error: the interpreter of `/bin/orphan`, `/bin/gone`: no such file",
            "relative.toml:2:14: error: the interpreter of `/bin/relative`, `sh` is not an absolute path",
            "empty.toml:2:14: error: the program `/bin/empty` is empty",
            "text.toml:2:14: warning: `/bin/text` is neither a program nor a script",
            "mode.toml:2:14: error: the program `/bin/mode` is not executable (chmod +x)",
            "gone.toml:2:14: error: the program `/bin/gone`: no such file or directory",
            "dir.toml:2:14: error: the program `/bin/dir` is not a regular file",
        ],
    );
}

#[test]
fn every_command_of_a_unit_is_looked_at() {
    let root = Root::new();
    for path in ["/sbin/init", "/bin/true", "/srv/app/bin/own"] {
        program(&root, path, elf(ARM).bytes());
    }
    program(&root, "/bin/alien", elf(X86_64).bytes());
    program(&root, "/bin/script", "#!/bin/gone\n");
    let keys = "user = \"root\"\nexec-start-pre = [[\"-/bin/maybe\"], [\"/bin/true\"]]\n\
        exec-start-post = \"/bin/script\"\nexec-stop = [\"/bin/nowhere\", \"x\"]\n\
        exec-stop-post = \"/bin/alien\"\nexec-reload = \"/bin/env nothing\"\n\
        [ready]\ncommand = \"/bin/look\"\n[health]\ncommand = [\"/bin/alien\", \"-q\"]\n";
    root.unit("web", format!("[service]\nexec-start = \"/bin/true\"\n{keys}"));
    // Its own root has other programs; the prober does not look from there.
    let own = "user = \"root\"\nroot-directory = \"/srv/app\"\nexec-start-pre = \"/bin/true\"\n\
        [ready]\ncommand = \"/bin/own\"\n[health]\ncommand = \"/bin/true\"\n";
    root.unit("own", format!("[service]\nexec-start = \"/bin/own\"\n{own}"));
    assert_said(
        &wish(&root),
        &[
            "web.toml:4:19: warning: exec-start-pre: the program `/bin/maybe`: no such file",
            "web.toml:5:19: error: exec-start-post: the interpreter of `/bin/script`, `/bin/gone`:",
            "web.toml:6:13: error: exec-stop: the program `/bin/nowhere`: no such file",
            "web.toml:7:18: error: exec-stop-post: `/bin/alien` is for x86-64",
            "web.toml:8:15: error: exec-reload: the program `/bin/env`: no such file",
            "web.toml:10:1: error: [ready] command: the program `/bin/look`: no such file",
            "web.toml:12:1: error: [health] command: `/bin/alien` is for x86-64",
            "own.toml:5:18: error: exec-start-pre: the program `/bin/true`: no such file",
            "own.toml:7:1: error: [ready] command: the program `/bin/own`: no such file",
        ],
    );
}

#[test]
fn programs_must_be_for_the_machine_and_have_their_loader() {
    let root = Root::new();
    program(&root, "/sbin/init", elf(ARM).bytes());
    program(&root, "/lib/ld.so", elf(ARM).bytes());
    program(&root, "/bin/good", elf(ARM).dynamic("/lib/ld.so", &[]).bytes());
    program(&root, "/bin/alien", elf(X86_64).bytes());
    program(&root, "/bin/wide", elf(AARCH64).bytes());
    program(&root, "/bin/lost", elf(ARM).dynamic("/lib/ld-musl-armhf.so.1", &[]).bytes());
    for name in ["good", "alien", "wide", "lost"] {
        unit(&root, name, &format!("/bin/{name}"));
    }
    assert_said(
        &wish(&root),
        &[
            "`/bin/alien` is for x86-64, this root is for ARM (32 bit)",
            "`/bin/wide` is for ARM (64 bit), this root is for ARM (32 bit)",
            "the loader of `/bin/lost`, `/lib/ld-musl-armhf.so.1`: no such file or directory",
        ],
    );
}

#[test]
fn links_are_followed_inside_the_root() {
    let root = Root::new();
    program(&root, "/usr/bin/true", elf(ARM).bytes());
    root.link("/bin", "/usr/bin");
    unit(&root, "a", "/bin/true");
    assert_said(&wish(&root), &[]);
}

#[test]
fn directories_must_be_there() {
    let root = Root::new();
    program(&root, "/bin/true", elf(ARM).bytes());
    let forking = |path: &str| {
        service(&format!("type = \"forking\"\npid-file = \"{path}\"\nuser = \"root\""))
    };
    root.unit("a", forking("/run/a.pid"));
    root.unit("b", forking("/var/run/b.pid"));
    root.unit("c", forking("/run/c/c.pid"));
    root.unit("d", forking("/data/d.pid"));
    root.unit("e", service("user = \"root\"\nworking-directory = \"/srv/%n\""));
    root.unit("f", service("user = \"root\"\nworking-directory = \"/etc\""));
    assert_said(
        &wish(&root),
        &[
            "c.toml:4:12: warning: the PID file's directory `/run/c` is not there",
            "d.toml:4:12: error: `/data/d.pid` may be on a disk",
            "e.toml:4:21: error: the directory `/srv/e` is not there",
        ],
    );
}

#[test]
fn hostile_programs_are_survived() {
    let root = Root::new();
    let whole = elf(ARM).dynamic("/lib/ld.so", &[]).bytes();
    for length in 0..whole.len() {
        program(&root, &format!("/bin/p{length}"), &whole[..length]);
        unit(&root, &format!("u{length}"), &format!("/bin/p{length}"));
    }
    // Every header field as large as can be, one after the other.
    for at in (16..whole.len()).step_by(4) {
        let mut huge = whole.clone();
        let end = (at + 4).min(huge.len());
        huge[at..end].fill(0xff);
        program(&root, &format!("/bin/h{at}"), huge);
        unit(&root, &format!("h{at}"), &format!("/bin/h{at}"));
    }
    let errors =
        check(&wish(&root)).iter().filter(|f| f.diagnostic.severity == Severity::Error).count();
    assert!(errors > 20, "{errors}");
}

#[test]
fn check_of_a_file_speaks_of_that_file_only() {
    let root = Root::new();
    root.unit("bad", "nonsense");
    root.write("/home/web.toml", format!("[unit]\nafter = [\"bad\", \"gone\"]\n{}", service("")));
    // Group-writable is normal in a working copy.
    root.mode("/home/web.toml", 0o664);
    let file = root.at("/home/web.toml");
    let said = said(&Wish { files: vec![file.clone()], ..wish(&root) });
    let shown = file.display().to_string();
    assert!(said.iter().all(|text| text.starts_with(&shown)), "{said:?}");
    assert!(said.iter().any(|text| text.contains("unit `gone` is not there")), "{said:?}");
    assert!(said.iter().any(|text| text.contains("unit `bad` is refused")), "{said:?}");
    let missing = Wish { files: vec![root.at("/home/none.toml")], ..wish(&root) };
    assert!(common::said(&missing).iter().any(|text| text.contains(": error: ")));
}

#[test]
fn a_file_is_checked_with_its_drop_ins_and_its_directory() {
    let root = Root::new();
    program(&root, "/bin/true", elf(ARM).bytes());
    root.unit("good", service("user = 0"));
    let files = vec![root.at("/etc/units/good.toml")];
    let of_file = Wish { files, ..wish(&root) };
    common::assert_said(&of_file, &[]);
    root.write("/etc/units/good.toml.d/10.toml", "[service]\nexec-strat = 1\n");
    root.write("/etc/units/other.toml", "nonsense");
    common::assert_said(&of_file, &["/etc/units/good.toml.d/10.toml:2:1: error: unknown key"]);
    root.write("/etc/units/good.toml.d/10.toml", "[service]\numask = \"0027\"\n");
    common::assert_said(&of_file, &[]);
    root.mode("/etc/units/good.toml", 0o664);
    common::assert_said(&of_file, &["the file can be written by its group"]);
    root.mode("/etc/units/good.toml", 0o644);
    root.mode("/etc/units/good.toml.d/10.toml", 0o666);
    common::assert_said(&of_file, &["10.toml: error: the file can be written by everybody"]);
    root.mode("/etc/units/good.toml.d/10.toml", 0o644);
    root.mode("/etc/units", 0o775);
    common::assert_said(
        &of_file,
        &["/etc/units: error: the directory can be written by its group"],
    );
}

#[test]
fn a_drop_in_is_checked_with_its_unit() {
    let root = Root::new();
    program(&root, "/bin/true", elf(ARM).bytes());
    root.unit("good", service("user = 0"));
    root.write("/usr/lib/units/tty@.toml", service("user = 0"));
    let check = |path: &str, text: &str, expected: &[&str]| {
        root.write(path, text);
        common::assert_said(&Wish { files: vec![root.at(path)], ..wish(&root) }, expected);
    };
    let drop_in = "/etc/units/good.toml.d/10.toml";
    check(drop_in, "[service]\numask = \"0027\"\n", &[]);
    check(drop_in, "[service]\numask = 1\n", &["10.toml:2:9: error"]);
    // A draft elsewhere comes in place of the one that is there.
    check("/home/good.toml.d/10.toml", "[service]\numask = \"0027\"\n", &[]);
    check("/home/tty@.toml.d/a.toml", "[service]\nuser = \"x\"\n", &["unknown user"]);
    check("/home/ghost.toml.d/a.toml", "[service]\n", &["there is no unit `ghost` that this"]);
}

/// A root whose loader and C library are there.
fn glibc(machine: u16, loader: &str, libraries: &str) -> Root {
    let root = Root::new();
    program(&root, "/sbin/init", elf(machine).bytes());
    program(&root, loader, elf(machine).bytes());
    root.write(&format!("{libraries}/libc.so.6"), Elf::library(machine, &[]).bytes());
    root
}

const HARD: &str = "/lib/ld-linux-armhf.so.3";

#[test]
fn libraries_are_found_where_the_loader_looks() {
    let root = glibc(ARM, HARD, "/usr/lib/arm-linux-gnueabihf");
    let library = |path: &str, needed: &[&'static str]| {
        root.write(path, Elf::library(ARM, needed).bytes());
    };
    let with = |elf: Elf, path: &str| {
        program(&root, path, elf.bytes());
        unit(&root, path.rsplit('/').next().unwrap(), path);
    };
    let dynamic = |needed: &[&'static str]| elf(ARM).dynamic(HARD, needed);
    root.write("/etc/ld.so.conf", "# all\ninclude /etc/ld.so.conf.d/*.conf\n");
    root.write("/etc/ld.so.conf.d/odd.conf", "/opt/odd/lib\n");
    library("/opt/odd/lib/libodd.so.1", &["libc.so.6"]);
    library("/opt/app/lib/libown.so.1", &["libdeep.so.1"]);
    library("/opt/app/lib/libdeep.so.1", &[]);
    with(dynamic(&["libc.so.6", "libodd.so.1"]), "/usr/bin/configured");
    with(
        Elf { runpath: Some("$ORIGIN/../lib"), ..dynamic(&["libdeep.so.1"]) },
        "/opt/app/bin/origin",
    );
    // What a library needs is searched along RPATH of the program, and not along its RUNPATH.
    with(Elf { rpath: Some("/opt/app/lib"), ..dynamic(&["libown.so.1"]) }, "/opt/app/bin/rpath");
    with(
        Elf { runpath: Some("/opt/app/lib"), ..dynamic(&["libown.so.1"]) },
        "/opt/app/bin/runpath",
    );
    with(dynamic(&["libgone.so.2"]), "/usr/bin/gone");
    library("/usr/lib/libneedy.so.1", &["libgone.so.3"]);
    with(dynamic(&["libneedy.so.1"]), "/usr/bin/needy");
    root.write("/usr/lib/libalien.so.1", Elf::library(X86_64, &[]).bytes());
    with(dynamic(&["libalien.so.1"]), "/usr/bin/alien");
    assert_said(
        &wish(&root),
        &[
            "the library `libdeep.so.1` of `/opt/app/bin/runpath`, which \
             `/opt/app/lib/libown.so.1` needs, is not there",
            "the library `libgone.so.2` of `/usr/bin/gone` is not there",
            "the library `libgone.so.3` of `/usr/bin/needy`, which `/usr/lib/libneedy.so.1` needs,",
            "the library `libalien.so.1` of `/usr/bin/alien` is `/usr/lib/libalien.so.1` only, for x86-64",
        ],
    );
    root.unit(
        "gone",
        "[service]\nuser = \"root\"\nexec-start = \"/usr/bin/gone\"\n\
         [service.environment]\nLD_LIBRARY_PATH = \"/opt/more\"\n",
    );
    library("/opt/more/libgone.so.2", &[]);
    assert!(!said(&wish(&root)).iter().any(|text| text.contains("/usr/bin/gone")));
}

#[test]
fn musl_finds_libraries_in_its_own_way() {
    const LOADER: &str = "/lib/ld-musl-armhf.so.1";
    let root = Root::new();
    program(&root, "/bin/app", elf(ARM).dynamic(LOADER, &["libc.so", "libz.so.1"]).bytes());
    program(&root, LOADER, Elf::library(ARM, &[]).bytes());
    root.write("/usr/local/lib/libz.so.1", Elf::library(ARM, &["libc.musl-armhf.so.1"]).bytes());
    unit(&root, "app", "/bin/app");
    assert_said(&wish(&root), &[]);
    root.write("/etc/ld-musl-armhf.path", "/lib\n/usr/lib\n");
    assert_said(&wish(&root), &["the library `libz.so.1` of `/bin/app` is not there"]);
}

#[test]
fn a_zero_does_not_get_what_was_built_for_a_newer_pi() {
    let root = glibc(ARM, HARD, "/lib");
    let with = |name: &str, elf: Elf| {
        program(&root, &format!("/bin/{name}"), elf.bytes());
        unit(&root, name, &format!("/bin/{name}"));
    };
    with("six", elf(ARM).arm(6, &[(10, 2), (9, 1)]));
    with("seven", elf(ARM).arm(10, &[]));
    with("neon", elf(ARM).arm(6, &[(12, 1)]));
    root.write("/lib/libseven.so", Elf::library(ARM, &[]).arm(10, &[]).bytes());
    with("linked", elf(ARM).dynamic(HARD, &["libseven.so"]).arm(6, &[]));
    with("mute", elf(ARM));
    let wrong: [&str; 4] = [
        "error: `/bin/seven` is for ARMv7 (Tag_CPU_arch), this root is for ARMv6",
        "error: `/bin/neon` uses NEON (Tag_Advanced_SIMD_arch), this root is for ARMv6",
        "warning: `/lib/libseven.so`, which `/bin/linked` needs, is for ARMv7 (Tag_CPU_arch)",
        "note: `/bin/mute` does not say for which ARM it was built",
    ];
    assert_said(&cpu(&root, Cpu::Armv6), &wrong);
    assert_said(&cpu(&root, Cpu::Armv7), &[]);
    assert_said(&wish(&root), &[]);
    assert_eq!(said(&cpu(&root, Cpu::X86_64)).len(), 5);
}

#[test]
fn most_programs_say_which_cpu_a_root_is_for() {
    let root = Root::new();
    // A 32-bit PID 1 on an otherwise 64-bit card.
    program(&root, "/sbin/init", elf(ARM).bytes());
    for path in ["/bin/sh", "/bin/cat", "/bin/web"] {
        program(&root, path, elf(AARCH64).bytes());
    }
    unit(&root, "web", "/bin/web");
    unit(&root, "old", "/sbin/init");
    assert_said(&wish(&root), &[]);
    program(&root, "/bin/pc", elf(X86_64).bytes());
    unit(&root, "pc", "/bin/pc");
    assert_said(&wish(&root), &["`/bin/pc` is for x86-64, this root is for ARM (64 bit)"]);
}

#[test]
fn scripts_need_their_interpreter_and_env_its_program() {
    let root = glibc(ARM, HARD, "/lib");
    for path in ["/usr/bin/env", "/usr/bin/python3", "/bin/sh"] {
        program(&root, path, elf(ARM).dynamic(HARD, &["libc.so.6"]).bytes());
    }
    let with = |name: &str, content: &str| {
        program(&root, &format!("/bin/{name}"), content);
        unit(&root, name, &format!("/bin/{name}"));
    };
    with("fine", "#!/usr/bin/env -S python3 -u\n");
    with("pearl", "#!/usr/bin/env perl\n");
    with("dos", "#!/bin/sh\r\necho\r\n");
    with("loop", "#!/bin/loop\n");
    with("nested", "#!/bin/fine\n");
    unit(&root, "env", "/usr/bin/env A=1 lua script");
    unit(&root, "script", "/usr/bin/python3 -u /usr/local/bin/web.py");
    unit(&root, "module", "/usr/bin/python3 -m http.server");
    unit(&root, "shell", "/bin/sh -c true");
    assert_said(
        &wish(&root),
        &[
            "what env executes for `/bin/pearl`, `perl` is not in PATH (PATH is /usr/local/sbin:",
            "`/bin/dos` has CR LF line ends: no such interpreter is there (save it with LF",
            "`/bin/loop` has an interpreter that has interpreters without end",
            "what env executes for `/usr/bin/env`, `lua` is not in PATH",
            "the script `/usr/local/bin/web.py`: no such file or directory",
        ],
    );
}

#[test]
fn a_link_never_leads_out_of_the_root() {
    let root = Root::new();
    program(&root, "/bin/here", elf(ARM).bytes());
    root.link("/bin/out", "../../../../../../../../bin/sh");
    unit(&root, "out", "/bin/out");
    unit(&root, "here", "/bin/here");
    assert_said(&wish(&root), &["out.toml:2:14: error: the program `/bin/out`: no such file"]);
}

#[test]
fn a_program_by_itself_says_what_it_is_for_and_what_it_needs() {
    let root = Root::new();
    let read = |file: &Elf| {
        program(&root, "/program", file.bytes());
        ettan_check::Binary::read(&root.at("/program")).unwrap()
    };
    let old = read(&elf(ARM).arm(6, &[]));
    assert_eq!((old.cpu(), old.needs()), (Cpu::Armv6, None));
    assert_eq!(old.foreign_to(Cpu::Armv7), None);
    assert_eq!(old.foreign_to(Cpu::Aarch64), Some("is for ARM (32 bit)".into()));
    let new = read(&elf(ARM).arm(10, &[]).dynamic("/lib/ld.so", &["libc.so.6"]));
    assert_eq!((new.cpu(), new.needs()), (Cpu::Armv7, Some("/lib/ld.so")));
    assert_eq!(new.foreign_to(Cpu::Armv6), Some("is for ARMv7 (Tag_CPU_arch)".into()));
    assert_eq!(read(&Elf::library(X86_64, &["libc.so.6"])).needs(), Some("libc.so.6"));
    root.write("/program", "#!/bin/sh\n");
    assert!(ettan_check::Binary::read(&root.at("/program")).is_none());
}
