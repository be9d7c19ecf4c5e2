/* The floor: the least a PID 1 can do. Starts N services by vfork and execve, waits, restarts whichever ended, reaps
 * everything else. No policy, no log, no control: what a supervisor adds to this is its own cost.
 * usage: floor N PROGRAM */
#include "raw.h"

ENTRY;

enum { PID_MAX = 1 << 22 }; /* the kernel's own limit on 64-bit machines */
static uint8_t ours[PID_MAX + 1];
static char *const no_environment[] = {NULL};

/* One frame for parent and child: the child runs on the parent's stack until execve, so this must stay inlined. */
INLINE void start(char *const argv[]) {
    long pid = raw6(__NR_clone, CLONE_VM_ | CLONE_VFORK_ | SIGCHLD_, 0, 0, 0, 0, 0);
    if (pid == 0) {
        raw(__NR_execve, argv[0], argv, no_environment, 0);
        leave(127);
    }
    if (pid > 0 && pid <= PID_MAX) ours[pid] = 1;
}

__attribute__((used)) void begin(long *block) {
    char **argv = (char **)(block + 1);
    if (block[0] != 3) leave(100);
    char *const service[] = {argv[2], NULL};
    for (long n = number(argv[1]); n > 0; n--) start(service);
    for (;;) {
        int status;
        long pid = raw(__NR_wait4, -1, &status, 0, 0);
        if (pid <= 0) {
            raw(__NR_ppoll, 0, 0, 0, 0); /* no children at all: wait for the end */
        } else if (pid <= PID_MAX && ours[pid]) {
            ours[pid] = 0;
            start(service);
        }
    }
}
