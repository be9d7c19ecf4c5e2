/* The trivial service, the same for every contender. Notes the time of its first instruction, reports it, sleeps. */
#include "raw.h"

ENTRY;

__attribute__((used)) void begin(void) {
    uint64_t ns = now_ns();
    struct stamps *s = map_stamps(1 << 20);
    if (!s) leave(111);
    uint64_t slot = __atomic_fetch_add(&s->count, 1, __ATOMIC_RELAXED);
    if (sizeof *s + (slot + 1) * sizeof s->record[0] > 1 << 20) leave(112);
    s->record[slot].pid = (uint64_t)raw(__NR_getpid, 0, 0, 0, 0);
    __atomic_store_n(&s->record[slot].ns, ns, __ATOMIC_RELEASE);
    for (;;) raw(__NR_ppoll, 0, 0, 0, 0);
}
