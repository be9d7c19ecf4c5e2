/* Raw system calls for the benchmark's freestanding programs. No libc: start-up cost and memory are the kernel's own.
 * x86-64 and AArch64 only. */
#ifndef ETTAN_BENCH_RAW_H
#define ETTAN_BENCH_RAW_H

#include <asm/unistd.h>
#include <stddef.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

#if defined(__x86_64__)
INLINE long raw6(long n, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}
/* The kernel enters with the argument block at the stack pointer; hand it to begin() on an aligned stack. */
#define ENTRY                                                                                                          \
    __asm__(".globl _start\n_start:\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n hlt\n")
#elif defined(__aarch64__)
INLINE long raw6(long n, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
#define ENTRY __asm__(".globl _start\n_start:\n mov x0, sp\n bl begin\n")
#else
#error "the benchmark knows x86-64 and AArch64"
#endif

#define raw(n, a, b, c, d) raw6((n), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

enum { SIGCHLD_ = 17, CLONE_VM_ = 0x100, CLONE_VFORK_ = 0x4000, MONOTONIC = 1, ESRCH_ = 3 };

struct ticks {
    int64_t sec, nsec;
};

INLINE uint64_t now_ns(void) {
    struct ticks t;
    raw(__NR_clock_gettime, MONOTONIC, &t, 0, 0);
    return (uint64_t)t.sec * 1000000000u + (uint64_t)t.nsec;
}

INLINE void leave(int code) {
    for (;;) raw(__NR_exit_group, code, 0, 0, 0);
}

INLINE void nap_us(long us) {
    struct ticks t = {0, us * 1000};
    raw(__NR_nanosleep, &t, 0, 0, 0);
}

INLINE long fork_plain(void) { return raw6(__NR_clone, SIGCHLD_, 0, 0, 0, 0, 0); }

INLINE long number(const char *s) {
    long n = 0;
    while (*s >= '0' && *s <= '9') n = n * 10 + (*s++ - '0');
    return n;
}

/* The file every service reports to; mapped by the measuring side as well. One record per start, in order. */
#define STAMPS "/bench/stamps"
struct stamps {
    uint64_t count;       /* records handed out so far */
    uint64_t pid1_exec;   /* ns, just before execve of PID 1 */
    uint64_t reserved[6]; /* the header fills one cache line */
    struct {
        uint64_t ns, pid; /* ns is written last: zero means "not yet" */
    } record[];
};

INLINE struct stamps *map_stamps(long bytes) {
    long fd = raw6(__NR_openat, -100, (long)STAMPS, 02 /* O_RDWR */, 0, 0, 0);
    if (fd < 0) return NULL;
    long at = raw6(__NR_mmap, 0, bytes, 3 /* read, write */, 1 /* shared */, fd, 0);
    raw(__NR_close, fd, 0, 0, 0);
    return at < 0 && at > -4096 ? NULL : (struct stamps *)at;
}
#endif
