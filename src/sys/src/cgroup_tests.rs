//! Against the real tree, where the machine has one.

use super::*;
use crate::testing::limit;
use std::ffi::CString;
use std::process::{Child, Command, Stdio};

/// A part of the tree for one test; none (said aloud) on a machine without cgroup v2.
fn tree(name: &str) -> Option<(Tree, CString)> {
    let base = CString::new(format!("ettan-sys-{name}-{}", std::process::id())).unwrap();
    let tree = Tree::find(&base);
    if tree.is_none() {
        eprintln!("no cgroup v2 tree here: nothing tested");
    }
    tree.map(|tree| (tree, base))
}

fn clean_up(tree: Tree, base: &CStr) {
    drop(tree);
    remove_for_test(base);
}

/// Removes what [`Tree::find`] made.
pub(crate) fn remove_for_test(base: &CStr) {
    let root = PLACES.into_iter().find_map(open_tree).unwrap();
    let here = group_of(process::own_pid(), &root).unwrap_or(root);
    remove_dir(here.as_fd(), base).unwrap();
}

fn cat_in(group: &Group) -> Child {
    let child = Command::new("/bin/cat").stdin(Stdio::piped()).spawn().unwrap();
    write(&group.dir, c"cgroup.procs", child.id().to_string().as_bytes()).unwrap();
    child
}

/// What is not killed ends by itself as soon as it is waited for.
fn await_killed(children: &mut [Child]) {
    use std::os::unix::process::ExitStatusExt;
    for child in children {
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    }
}

fn members(group: &Group) -> Vec<i32> {
    let mut found = Vec::new();
    group.procs(&mut |pid| found.push(pid)).unwrap();
    found
}

#[test]
fn a_path_names_its_unit() {
    let of = |ours: &[u8], theirs: &'static [u8]| unit_in(ours, theirs);
    assert_eq!(of(b"/", b"/ettan/web"), Some(&b"web"[..]));
    assert_eq!(of(b"/x", b"/x/ettan/web/inner"), Some(&b"web"[..]));
    assert_eq!(of(b"/x", b"/x/ettan/web (deleted)"), Some(&b"web"[..]));
    for (ours, theirs) in [
        (&b"/"[..], &b"/ettan"[..]),
        (b"/", b"/ettan/"),
        (b"/", b"/web"),
        (b"/x", b"/ettan/web"),
        (b"/", b"/ettant/web"),
    ] {
        assert_eq!(of(ours, theirs), None);
    }
}

#[test]
fn a_group_knows_its_processes_and_kills_them() {
    let _limit = limit(20.0);
    let Some((tree, base)) = tree("kill") else { return };
    let group = tree.create(c"web").unwrap();
    assert_eq!(group.populated(), Ok(false));
    let mut children: Vec<Child> = (0..20).map(|_| cat_in(&group)).collect();
    assert_eq!(group.populated(), Ok(true));
    let mut path = [0; 256];
    let own = crate::procfs::cgroup_of(children[0].id() as i32, &mut path).unwrap();
    assert!(own.ends_with(b"/web"));
    let mut found = members(&group);
    found.sort_unstable();
    let mut expected: Vec<i32> = children.iter().map(|child| child.id() as i32).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(tree.remove(c"web"), Err(Errno::BUSY));
    group.kill().unwrap();
    await_killed(&mut children);
    while group.populated().unwrap() {
        std::thread::yield_now();
    }
    tree.remove(c"web").unwrap();
    tree.remove(c"web").unwrap();
    assert_eq!(tree.open(c"web").unwrap_err(), Errno::NOENT);
    clean_up(tree, &base);
}

#[test]
fn f7_4_without_cgroup_kill_the_frozen_are_killed_one_by_one() {
    let _limit = limit(20.0);
    let Some((tree, base)) = tree("freeze") else { return };
    let group = tree.create(c"web").unwrap();
    let mut children: Vec<Child> = (0..20).map(|_| cat_in(&group)).collect();
    group.kill_one_by_one().unwrap();
    await_killed(&mut children);
    assert_eq!(members(&group), []);
    tree.remove(c"web").unwrap();
    clean_up(tree, &base);
}

/// A group and two more of a service's own making, each with processes, and all of those.
fn nested(tree: &Tree) -> (Group, Vec<Child>) {
    let group = tree.create(c"lxc").unwrap();
    let mut children = vec![cat_in(&group)];
    for path in [c"a", c"a/b", c"a/b/c", c"d"] {
        rustix::fs::mkdirat(&group.dir, path, Mode::RWXU).unwrap();
        let below = Group { dir: open_dir(group.dir.as_fd(), path).unwrap() };
        children.extend((0..5).map(|_| cat_in(&below)));
    }
    (group, children)
}

#[test]
fn what_runs_below_belongs_to_the_group() {
    let _limit = limit(20.0);
    let Some((tree, base)) = tree("nested") else { return };
    let (group, mut children) = nested(&tree);
    // What one look leaves behind is nothing to the next one.
    for _ in 0..2 {
        let mut found = members(&group);
        found.sort_unstable();
        let mut expected: Vec<i32> = children.iter().map(|child| child.id() as i32).collect();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
    let seen = crate::testing::without_descriptors(|| {
        i32::from(group.procs(&mut |_| {}) == Err(Errno::MFILE))
    });
    assert_eq!(seen, 1);
    group.kill().unwrap();
    await_killed(&mut children);
    tree.remove(c"lxc").unwrap();
    clean_up(tree, &base);
}

#[test]
fn f7_4_without_cgroup_kill_what_runs_below_is_killed_too() {
    let _limit = limit(20.0);
    let Some((tree, base)) = tree("below-freeze") else { return };
    let (group, mut children) = nested(&tree);
    group.kill_one_by_one().unwrap();
    await_killed(&mut children);
    tree.remove(c"lxc").unwrap();
    clean_up(tree, &base);
}

#[test]
fn groups_that_lie_too_deep_are_told() {
    let _limit = limit(20.0);
    let Some((tree, base)) = tree("deep") else { return };
    let group = tree.create(c"lxc").unwrap();
    let mut dir = group.dir.try_clone().unwrap();
    for depth in 1..=INNER_DEPTH + 1 {
        dir = make(dir.as_fd(), c"x").unwrap();
        let looked = group.procs(&mut |_| {});
        assert_eq!(looked, if depth > INNER_DEPTH { Err(Errno::LOOP) } else { Ok(()) });
    }
    drop(dir);
    for depth in (1..=INNER_DEPTH + 1).rev() {
        let path = CString::new(vec!["x"; depth].join("/")).unwrap();
        remove_dir(group.dir.as_fd(), &path).unwrap();
    }
    tree.remove(c"lxc").unwrap();
    clean_up(tree, &base);
}

#[test]
fn what_a_service_made_below_goes_too() {
    let Some((tree, base)) = tree("below") else { return };
    let group = tree.create(c"lxc").unwrap();
    for path in [c"a", c"a/b", c"a/b/c", c"a/d", c"e"] {
        rustix::fs::mkdirat(&group.dir, path, Mode::RWXU).unwrap();
    }
    tree.remove(c"lxc").unwrap();
    assert_eq!(tree.open(c"lxc").unwrap_err(), Errno::NOENT);
    clean_up(tree, &base);
}

#[test]
fn a_group_that_was_killed_is_made_anew() {
    let _limit = limit(20.0);
    let Some((tree, base)) = tree("anew") else { return };
    let inode = |group: &Group| rustix::fs::fstat(&group.dir).unwrap().st_ino;
    let group = tree.create(c"web").unwrap();
    let first = inode(&group);
    group.kill().unwrap();
    assert!(group.was_killed());
    let mut child = cat_in(&group);
    // In use it stays; then it goes.
    assert_eq!(inode(&tree.create(c"web").unwrap()), first);
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_ne!(inode(&tree.create(c"web").unwrap()), first);
    tree.remove(c"web").unwrap();
    clean_up(tree, &base);
}

#[test]
fn groups_are_made_once() {
    let Some((tree, base)) = tree("twice") else { return };
    tree.create(c"web").unwrap();
    tree.create(c"web").unwrap();
    let again = Tree::find(&base).unwrap();
    again.open(c"web").unwrap();
    tree.remove(c"web").unwrap();
    clean_up(tree, &base);
}

#[test]
fn numbers_are_put_together_across_reads() {
    let all = |bytes: &[u8]| {
        let mut numbers = Numbers::default();
        bytes.iter().filter_map(|&byte| numbers.feed(byte)).collect::<Vec<i32>>()
    };
    assert_eq!(all(b"12\n345\n6"), [12, 345]);
    assert_eq!(all(b"0\n-5\n99999999999\n7\n"), [5, 7]);
}

#[test]
fn only_a_clear_no_means_empty() {
    assert!(!says_populated(b"populated 0\nfrozen 0\n"));
    for text in [&b""[..], b"populated 1\n", b"populated 01\n", b"xpopulated 0\n", b"pop"] {
        assert!(says_populated(text));
    }
}
