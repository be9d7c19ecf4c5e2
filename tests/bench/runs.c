/* The boot benchmark's service, the same under every init: says in the kernel's log that it runs, and waits. A program
 * of its own, so that no init finds it in memory already. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int log = open("/dev/kmsg", O_WRONLY);
    dprintf(log, "bench: %s runs\n", argc > 1 ? argv[1] : "?");
    for (;;) pause();
}
