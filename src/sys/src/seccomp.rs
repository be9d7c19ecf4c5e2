//! Has the kernel refuse system calls, to this process and to all that it will ever start. For
//! tests of what PID 1 does without them.

use crate::raw::check;
use crate::{Errno, Result};
use core::ops::RangeInclusive;

/// From now on the system calls with these numbers fail with `errno`. There is no way back.
///
/// # Errors
/// EACCES without `CAP_SYS_ADMIN`, EINVAL above 1,300 ranges or without seccomp in the kernel.
pub fn refuse(calls: &[RangeInclusive<u32>], errno: Errno) -> Result<()> {
    let refusal = libc::SECCOMP_RET_ERRNO | errno.raw_os_error().unsigned_abs();
    // The number of the call is the first word of what a filter is shown.
    let mut program = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for calls in calls {
        program.extend([
            step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, *calls.start(), 0, 2),
            step(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, *calls.end(), 1, 0),
            step(libc::BPF_RET | libc::BPF_K, refusal, 0, 0),
        ]);
    }
    program.push(step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0));
    let len = u16::try_from(program.len()).map_err(|_| Errno::INVAL)?;
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    let (mode, program) = (libc::SECCOMP_MODE_FILTER, &raw const program);
    // SAFETY: the kernel copies the program, which is as long as it says, and checks it.
    check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, program) }.into()).map(drop)
}

/// One step of a filter: what, with which number, and how many steps to pass over if it is so and
/// if it is not.
fn step(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}
