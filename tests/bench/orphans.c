/* Hands PID 1 a crowd of orphans and times how long it takes until none is left. Runs inside PID 1's namespace, but
 * its own parent is outside, so only the crowd is PID 1's.
 * usage: orphans zombies|alive N      prints nanoseconds
 *   zombies  all have ended before their parent ends: pure reaping
 *   alive    all live when their parent ends, and end together afterwards */
#include "raw.h"

ENTRY;

enum { LIMIT = 30000, POLL_US = 50 };
struct shared {
    uint64_t start_ns;
    long made, pgid, pid[LIMIT];
};

INLINE void put_number(uint64_t n) {
    char text[24], *p = text + sizeof text;
    *--p = '\n';
    do *--p = (char)('0' + n % 10);
    while (n /= 10);
    raw(__NR_write, 1, p, text + sizeof text - p, 0);
}

/* Until nobody of the crowd is left. Asks for the last one first: asking for the whole group takes the kernel's task
 * list lock and would slow the very reaping that is measured. */
INLINE void wait_until_gone(struct shared *crowd) {
    long last = crowd->pid[crowd->made - 1];
    while (raw(__NR_kill, last, 0, 0, 0) != -ESRCH_) nap_us(POLL_US);
    while (raw(__NR_kill, -crowd->pgid, 0, 0, 0) != -ESRCH_) nap_us(POLL_US);
}

/* The crowd's parent: makes N children; as zombies it waits, without collecting, until every one has ended. */
INLINE void be_parent(struct shared *crowd, long n, int zombies, const int *gate) {
    raw(__NR_setpgid, 0, 0, 0, 0);
    crowd->pgid = raw(__NR_getpid, 0, 0, 0, 0);
    raw(__NR_close, gate[1], 0, 0, 0);
    for (long i = 0; i < n; i++) {
        long pid = fork_plain();
        if (pid == 0) {
            char byte;
            if (!zombies) raw(__NR_read, gate[0], &byte, 1, 0);
            leave(0);
        }
        if (pid < 0) break;
        crowd->pid[crowd->made++] = pid;
    }
    for (long i = 0; zombies && i < crowd->made; i++)
        raw6(__NR_waitid, 1 /* P_PID */, crowd->pid[i], 0, 4 | 0x01000000 /* WEXITED, WNOWAIT */, 0, 0);
    crowd->start_ns = now_ns();
    leave(0);
}

__attribute__((used)) void begin(long *block) {
    char **argv = (char **)(block + 1);
    if (block[0] != 3) leave(100);
    int zombies = argv[1][0] == 'z', gate[2], status;
    long n = number(argv[2]);
    struct shared *crowd = (struct shared *)raw6(__NR_mmap, 0, sizeof *crowd, 3, 0x21 /* shared, anonymous */, -1, 0);
    if (n < 1 || n > LIMIT || raw(__NR_pipe2, gate, 0, 0, 0) != 0) leave(100);
    long parent = fork_plain();
    if (parent == 0) be_parent(crowd, n, zombies, gate);
    raw(__NR_wait4, parent, &status, 0, 0);
    if (crowd->made != n) leave(111);
    if (!zombies) {
        nap_us(300000); /* let PID 1 come to rest: only the end is timed */
        crowd->start_ns = now_ns();
        raw(__NR_close, gate[1], 0, 0, 0);
    }
    wait_until_gone(crowd);
    put_number(now_ns() - crowd->start_ns);
    leave(0);
}
