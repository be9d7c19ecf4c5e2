/* Decoys: processes that are nobody's business but ours. Each takes the number of a process of a
   service as soon as that number is free. Counts them, and those that ended by anything but our
   own signal.
   usage: decoys DIRECTORY KEPT
          decoys --members DIRECTORY NUMBER
   Services append their numbers to DIRECTORY/numbers, four bytes each. KEPT decoys live at a time,
   the oldest gives way. What was counted stands in DIRECTORY/decoys: reused, hit, and 1 when it is
   the last word, which is asked for by DIRECTORY/over.
   The second form is a service's crowd: so many processes that say their number and stay.
   In C, because Rust has no fork that is safe; nothing else here is worth a word. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Between two looks. */
#define NAP_NS 200000
/* Between two reports. */
#define REPORT_MS 50
/* Numbers that are watched at a time: more than there can be processes of services. */
#define WATCHED 65536
/* Nobody but us sends it to a decoy. */
#define OURS SIGUSR2

static int watched[WATCHED];
static size_t watching;
static int *decoys;
static size_t kept, first, count;
static unsigned long reused, hit;

static void give_up(const char *what)
{
	perror(what);
	exit(1);
}

static void report(int last)
{
	FILE *file = fopen("decoys.new", "w");
	if (!file)
		give_up("decoys.new");
	fprintf(file, "%lu %lu %d\n", reused, hit, last);
	fclose(file);
	if (rename("decoys.new", "decoys"))
		give_up("decoys");
}

/* One more number to watch, once. */
static void watch(int pid)
{
	for (size_t at = 0; at < watching; at++)
		if (watched[at] == pid)
			return;
	if (watching < WATCHED)
		watched[watching++] = pid;
}

static void read_numbers(int from)
{
	int numbers[256];
	ssize_t length;
	while ((length = read(from, numbers, sizeof numbers)) > 0)
		for (size_t at = 0; at < (size_t)length / sizeof *numbers; at++)
			watch(numbers[at]);
}

/* A process of this number; 0 while somebody has it. */
static int breed(int pid)
{
	struct clone_args how = { .exit_signal = SIGCHLD };
	how.set_tid = (unsigned long)&pid;
	how.set_tid_size = 1;
	long child = syscall(SYS_clone3, &how, sizeof how);
	if (child == 0)
		for (;;)
			pause();
	if (child > 0)
		return (int)child;
	if (errno != EEXIST && errno != EAGAIN && errno != ENOMEM)
		give_up("clone3 with set_tid (Linux 5.5)");
	return 0;
}

static void note_end(int pid, int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == OURS)
		return;
	hit++;
	fprintf(stderr, "decoy %d ended with %d\n", pid, status);
}

/* The oldest goes. One that ended before its turn was counted then. */
static void retire(void)
{
	int pid = decoys[first], status;
	first = (first + 1) % kept;
	count--;
	if (pid == 0)
		return;
	kill(pid, OURS);
	if (waitpid(pid, &status, 0) == pid)
		note_end(pid, status);
}

/* Whoever ended before its turn. */
static void look(void)
{
	int status, pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		note_end(pid, status);
		for (size_t at = 0; at < count; at++)
			if (decoys[(first + at) % kept] == pid)
				decoys[(first + at) % kept] = 0;
	}
}

static void take_what_is_free(void)
{
	for (size_t at = 0; at < watching;) {
		int pid = 0;
		if (kill(watched[at], 0) && errno == ESRCH) {
			if (count == kept)
				retire();
			pid = breed(watched[at]);
		}
		if (pid == 0) {
			at++;
			continue;
		}
		decoys[(first + count++) % kept] = pid;
		watched[at] = watched[--watching];
		reused++;
	}
}

static long now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void members(const char *directory, int number)
{
	int numbers;
	if (chdir(directory) || (numbers = open("numbers", O_WRONLY | O_APPEND | O_CLOEXEC)) < 0)
		give_up("numbers");
	while (--number > 0 && fork() > 0)
		continue;
	int pid = getpid();
	if (write(numbers, &pid, sizeof pid) != sizeof pid)
		give_up("numbers");
	for (;;)
		pause();
}

int main(int words, char **word)
{
	if (words == 4 && strcmp(word[1], "--members") == 0)
		members(word[2], atoi(word[3]));
	if (words != 3 || (kept = strtoul(word[2], NULL, 10)) == 0 || chdir(word[1])) {
		fprintf(stderr, "usage: decoys DIRECTORY KEPT\n");
		return 2;
	}
	int numbers = open("numbers", O_RDONLY | O_CREAT | O_CLOEXEC, 0666);
	decoys = calloc(kept, sizeof *decoys);
	if (numbers < 0 || !decoys)
		give_up("numbers");
	const struct timespec nap = { .tv_nsec = NAP_NS };
	long due = 0;
	for (;;) {
		read_numbers(numbers);
		take_what_is_free();
		look();
		if (now_ms() >= due) {
			report(0);
			due = now_ms() + REPORT_MS;
			if (access("over", F_OK) == 0)
				break;
		}
		nanosleep(&nap, NULL);
	}
	while (count > 0)
		retire();
	report(1);
	return 0;
}
