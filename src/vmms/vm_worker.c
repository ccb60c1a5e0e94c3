// SPDX-License-Identifier: Apache-2.0
#include "vm_worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu_policy.h"
#include "events.h"
#include "host/log.h"
#include "keeper.h"
#include "lib/check.h"
#include "link.h"
#include "vm_event.h"
#include "vm_guest.h"
#include "vmms.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* Si_status as waitpid would give it; -1: not our child. */
static int reap(int pidfd)
{
	siginfo_t info = {0};

	if (waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0 ||
	    info.si_pid == 0) {
		return -1;
	}
	return info.si_code == CLD_EXITED ? W_EXITCODE(info.si_status, 0)
					  : W_EXITCODE(0, info.si_status);
}

static void forget(struct vm *vm)
{
	struct vm_worker *w = &vm->worker;
	struct link *l = w->link;

	json_decref(w->stats);
	if (w->pidfd >= 0) {
		loop_remove(vm->vmms->loop, w->pidfd);
		close(w->pidfd);
	}
	keeper_destroy(w->keeper);
	*w = (struct vm_worker){.pidfd = -1};
	link_destroy(l); /* whoever waits for an answer sees a VM without a worker */
	vm->heartbeat = "none";
	vm_guest_forget(vm);
}

static void on_exit_of(void *ctx)
{
	struct vm *vm = ctx;
	struct vm_end end;

	vm_worker_read_end(vm, reap(vm->worker.pidfd), &end);
	vm->ran_ns = vm->worker.since_ns == 0 ? 0 : host_now_ns() - vm->worker.since_ns;
	forget(vm);
	cpu_policy_end(vm);
	vm_ended(vm, &end);
}

/* After a restart of the service the worker gets a new partner for its cables. */
static struct keeper *replace_launcher(struct vm *vm)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		return NULL;
	}
	link_ask_words(vm->worker.link, NULL, NULL, pair[1], "launcher", NULL);
	return keeper_create(vm->vmms->loop, vm->vmms->tasks, pair[0]);
}

void vm_worker_attach(struct vm *vm, const struct machine_process *process)
{
	struct vmms *v = vm->vmms;
	struct vm_worker *w = &vm->worker;
	char run[VM_PATH_BYTES];

	vm_run_path(vm, "", run);
	*w = (struct vm_worker){
		.pid = process->pid, .start_time = process->start_time, .pidfd = process->pidfd};
	memcpy(w->engine, process->engine, sizeof(w->engine));
	memcpy(w->engine_reason, process->engine_reason, sizeof(w->engine_reason));
	w->link = link_create(v->loop, run);
	CHECK(w->link != NULL && loop_add(v->loop, w->pidfd, on_exit_of, vm) == 0);
	w->keeper = process->launcher >= 0 ? keeper_create(v->loop, v->tasks, process->launcher)
					   : replace_launcher(vm);
	link_watch(w->link, vm_event, vm);
	if (process->launcher < 0) {
		vm_guest_ask(vm); /* what was said before we came */
	}
}

void vm_worker_detach(struct vm *vm)
{
	if (vm->worker.pidfd >= 0) {
		forget(vm);
	}
}

void vm_worker_clear_end(const struct vm *vm)
{
	char path[VM_PATH_BYTES];

	/* Without looking at the lock: a process that is about to become another VM's worker may have it for a moment. */
	vm_run_path(vm, "end", path);
	if (truncate(path, 0) < 0 && errno != ENOENT) {
		log_line("%s: %s", path, strerror(errno));
	}
}

void vm_worker_kill(struct vm *vm)
{
	syscall(SYS_pidfd_send_signal, vm->worker.pidfd, SIGKILL, NULL, 0);
}

/* ---- How it ended ---- */

/* Of a worker that could not say it: what its parent sees. */
static void guess_end(int status, struct vm_end *ret)
{
	static const struct {
		int status;
		const char *how;
	} known[] = {{0, "power-off"}, {2, "usage"},  {3, "reset"}, {4, "crash"},
		     {124, "timeout"}, {130, "left"}, {5, "saved"}, {6, "turned-off"}};

	snprintf(ret->how, sizeof(ret->how), "%s",
		 status == -1 || WIFSIGNALED(status) ? "killed" : "host-failure");
	if (status == -1) {
		snprintf(ret->message, sizeof(ret->message), "the worker was killed");
	} else if (WIFSIGNALED(status)) {
		snprintf(ret->message, sizeof(ret->message),
			 "the worker was killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	} else {
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
			if (WEXITSTATUS(status) == known[i].status) {
				snprintf(ret->how, sizeof(ret->how), "%s", known[i].how);
			}
		}
	}
}

/* The last line that it wrote; "": nothing. */
static void last_words(const struct vm *vm, char *ret, size_t size)
{
	char path[VM_PATH_BYTES], text[2048];

	ret[0] = '\0';
	vm_run_path(vm, "log", path);
	FILE *f = fopen(path, "re");

	while (f != NULL && fgets(text, sizeof(text), f) != NULL) {
		text[strcspn(text, "\n")] = '\0';
		if (text[0] != '\0') {
			snprintf(ret, size, "%.*s", (int)size - 1, text);
		}
	}
	if (f != NULL) {
		fclose(f);
	}
}

void vm_worker_read_end(const struct vm *vm, int status, struct vm_end *ret)
{
	char path[VM_PATH_BYTES], text[2048] = "";

	*ret = (struct vm_end){.how = ""};
	vm_run_path(vm, "end", path);
	FILE *f = fopen(path, "re");

	if (f != NULL) {
		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		fclose(f);
	}
	ret->ran = link_number(text, "ran") != 0;
	if (!link_value(text, "message", ret->message, sizeof(ret->message))) {
		ret->message[0] = '\0';
	}
	if (!link_value(text, "end", ret->how, sizeof(ret->how))) {
		guess_end(status, ret);
	}
	if (ret->message[0] == '\0' &&
	    (strcmp(ret->how, "host-failure") == 0 || strcmp(ret->how, "usage") == 0)) {
		last_words(vm, ret->message, sizeof(ret->message));
	}
}
