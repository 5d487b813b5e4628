// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The keeper of a session.
 *
 * It is a fork of the agent, which forks the program and then has no memory but a few pages
 * of its own. The program's first steps run in the keeper's memory, by vfork(): another copy
 * of the agent's page tables would take longer, and a keeper has nothing better to do than
 * to wait.
 *
 * How it goes on does not depend on an agent of the same version: it waits for the program,
 * writes down how it has ended, and is there until it is killed by an agent that has no more
 * use for it, or until there is no agent any more.
 */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <kring/barrier.h>

#include "clock.h"
#include "keeper.h"
#include "loop.h"
#include "spawn.h"

/* Who kills all kringds shall not kill the keepers, too. */
#define KEEPER_NAME	"kring-keeper"

/* Stack that the agent may have used. */
#define STACK		(256 << 10)

/* What is above is what malloc() has. */
static void *first_break;

/* Arguments, where they are shown: there is room for a name. */
static char *title;
static size_t title_size;

/* libc passes these. */
static void __attribute__((constructor)) note_surroundings(int argc, char **argv)
{
	first_break = sbrk(0);
	if (argc > 0) {
		title = argv[0];
		title_size = argv[argc - 1] + strlen(argv[argc - 1]) - argv[0];
	}
}

void keeper_init(void)
{
	/* All memory is to be where a keeper can drop it at once. */
	mallopt(M_MMAP_MAX, 0);
}

static void woken(int signal)
{
	(void)signal;
}

/* Signals that it is woken by come during ppoll() alone. */
static void set_signals(sigset_t *waiting)
{
	struct sigaction action = { .sa_handler = woken, .sa_flags = SA_NOCLDSTOP };

	sigfillset(waiting);
	sigprocmask(SIG_SETMASK, waiting, NULL);
	sigaction(SIGCHLD, &action, NULL);
	sigaction(KEEPER_SIGNAL, &action, NULL);
	sigdelset(waiting, SIGCHLD);
	sigdelset(waiting, KEEPER_SIGNAL);
}

static int arrange(const struct keeper *keeper, const struct spawn *spawn, int report,
		   struct failure *failure)
{
	int files[KEEPER_FILES] = {
		spawn->files[0], spawn->files[1], spawn->files[2],
		[SPAWN_REPORT] = report,
		[KEEPER_CGROUP] = spawn->cgroup,
		[KEEPER_LIFE] = keeper->life,
		[KEEPER_OVER] = keeper->over[1],
		[KEEPER_OVER_AGENT] = keeper->over[0],
		[KEEPER_INPUT] = keeper->input,
		[KEEPER_OUTPUT] = keeper->outputs[0],
		[KEEPER_ERRORS] = keeper->outputs[1],
		[KEEPER_RELAY_AGENT] = keeper->relay[0],
		[KEEPER_RELAY] = keeper->relay[1],
	};

	return spawn_arrange(files, KEEPER_FILES, failure);
}

/*
 * An agent that does not know of this keeper may give the record to another session. So
 * either the keeper has said who it is before that agent looks, or it may not begin.
 */
static bool claim(const struct keeper *keeper)
{
	uint64_t none = keeper->number << 32;

	return __atomic_compare_exchange_n(&keeper->record->keeper, &none, none | getpid(), false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* In the program's process. Until it is the program, it does not outlive the keeper. */
static void become(struct session_record *record, struct spawn *spawn, pid_t keeper)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != keeper)
		_exit(EXIT_FAILURE);
	kring_store_release(&record->pid, getpid());
	spawn->files[0] = STDIN_FILENO;
	spawn->files[1] = STDOUT_FILENO;
	spawn->files[2] = STDERR_FILENO;
	if (spawn->cgroup >= 0)
		spawn->cgroup = KEEPER_CGROUP;
	spawn_become(spawn, SPAWN_REPORT);
}

/* Returns when the program runs, or does not. */
static pid_t start(struct session_record *record, struct spawn *spawn)
{
	pid_t keeper = getpid(), pid = vfork();

	if (!pid)
		become(record, spawn, keeper);
	return pid;
}

/*
 * What was the agent's: its files, and whatever memory it had when it forked, of which the
 * pages would be this process's alone as soon as the agent writes to its own.
 */
static void shed(void)
{
	uintptr_t page = sysconf(_SC_PAGESIZE);
	uintptr_t stack = ((uintptr_t)&page & ~(page - 1)) - page;

	close_range(STDIN_FILENO, KEEPER_CGROUP, 0);
	/* Who becomes another user takes this away from all that share its memory. */
	prctl(PR_SET_DUMPABLE, 1);
	madvise((void *)(stack - STACK), STACK, MADV_DONTNEED);
	/* Nothing is allocated any more, here. Where it is refused, nothing is lost. */
	if (brk(first_break))
		return;
}

/*
 * The end of the program
 */

static void record_exit(struct session_exit *exit, const siginfo_t *info,
			const struct rusage *usage)
{
	exit->ended = clock_now(CLOCK_REALTIME);
	exit->status = info->si_status;
	if (info->si_code == CLD_EXITED)
		exit->status = (info->si_status & 0xff) << 8;
	else if (info->si_code == CLD_DUMPED)
		exit->status |= WCOREFLAG;
	session_exit_usage(exit, usage);
	kring_store_release(&exit->recorded, 1);
}

/*
 * Written down before it is reaped: a keeper that is killed in between leaves a program whose
 * number is still its own, or its exit.
 */
static bool has_ended(struct session_record *record, pid_t pid)
{
	struct rusage usage;
	siginfo_t info;

	info.si_pid = 0;
	/* libc's has no rusage. */
	if (syscall(SYS_waitid, P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT, &usage) ||
	    !info.si_pid)
		return false;
	record_exit(&record->exit, &info, &usage);
	waitpid(pid, NULL, WNOHANG);
	close(KEEPER_OVER);
	return true;
}

/* No agent comes any more. What needs no host goes on alone. */
static void leave(const struct session_record *record, pid_t pid, const sigset_t *waiting)
{
	struct timespec limit = { .tv_sec = SESSION_HANGUP };

	if (record->durable)
		return;
	close(KEEPER_INPUT);
	kill(-pid, SIGHUP);
	kill(-pid, SIGCONT);
	ppoll(NULL, 0, &limit, waiting);
	if (waitpid(pid, NULL, WNOHANG) != pid)
		kill(-pid, SIGKILL);
}

static void keep(struct session_record *record, pid_t pid, const sigset_t *waiting)
{
	struct pollfd life = { .fd = KEEPER_LIFE };
	bool input = true, ended = false;

	do {
		if (input && !READ_ONCE(record->input)) {
			input = false;
			close(KEEPER_INPUT);
		}
		ended = ended || has_ended(record, pid);
	} while (ppoll(&life, 1, NULL, waiting) <= 0 || !life.revents);
	if (!ended && !has_ended(record, pid))
		leave(record, pid, waiting);
}

void keeper_run(const struct keeper *keeper, struct spawn *spawn, int report)
{
	struct session_record *record = keeper->record;
	struct failure failure;
	sigset_t waiting;
	pid_t pid;

	prctl(PR_SET_NAME, KEEPER_NAME);
	if (title) {
		memset(title, 0, title_size);
		memcpy(title, KEEPER_NAME, strnlen(KEEPER_NAME, title_size));
	}
	/* Another agent of the same user's may take what this one holds, whatever Yama says. */
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	if (arrange(keeper, spawn, report, &failure))
		spawn_fail(report, &failure);
	if (!claim(keeper))
		_exit(EXIT_FAILURE);
	set_signals(&waiting);
	pid = start(record, spawn);
	if (pid < 0) {
		failure_errno(&failure, errno, "fork", spawn->argv[0]);
		spawn_fail(SPAWN_REPORT, &failure);
	}
	shed();
	keep(record, pid, &waiting);
	_exit(EXIT_SUCCESS);
}
