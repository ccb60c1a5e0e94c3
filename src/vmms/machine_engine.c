// SPDX-License-Identifier: Apache-2.0
#include "machine_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine_guide.h"
#include "launch/cpu.h"

/* ---- Choosing ---- */

static void say(struct machine_process *ret, enum engines_engine engine, const char *reason)
{
	snprintf(ret->engine, sizeof(ret->engine), "%s", engines_name(engine));
	snprintf(ret->engine_reason, sizeof(ret->engine_reason), "%s", reason);
}

static bool open_asked_for(const struct machine_plan *p, int *ret_kvm, struct machine_process *ret,
			   struct launch_error *error)
{
	*ret_kvm = engine_guide_open(p->engines, error);
	if (*ret_kvm < 0) {
		return false;
	}
	say(ret, ENGINES_KVM, "its configuration asks for KVM");
	return true;
}

/* A device that went away since it was looked at is no reason not to start. */
static void open_suiting(const struct machine_plan *p, int state_fd, int *ret_kvm,
			 struct machine_process *ret)
{
	struct engines_choice c;
	struct launch_error why;
	const char *emu = launch_cpu_emu_reason(p->model, state_fd);

	*ret_kvm = -1;
	if (emu != NULL) {
		say(ret, ENGINES_EMU, emu);
		return;
	}
	engine_guide_choose(p->engines, &c);
	*ret_kvm = c.engine == ENGINES_KVM ? engine_guide_open(p->engines, &why) : -1;
	if (c.engine == ENGINES_KVM && *ret_kvm < 0) {
		say(ret, ENGINES_EMU, "KVM's device went away while the machine was started");
	} else {
		say(ret, c.engine, c.reason);
	}
}

bool machine_engine_open(const struct machine_plan *p, int state_fd, int *ret_kvm,
			 struct machine_process *ret, struct launch_error *error)
{
	switch (p->engine) {
	case MACHINE_ENGINE_KVM:
		return open_asked_for(p, ret_kvm, ret, error);
	case MACHINE_ENGINE_EMU:
		*ret_kvm = -1;
		say(ret, ENGINES_EMU, "its configuration asks for the software engine");
		return true;
	case MACHINE_ENGINE_AUTO:
		break;
	}
	open_suiting(p, state_fd, ret_kvm, ret);
	return true;
}

/* ---- The file ---- */

int machine_engine_write(int fd, const struct machine_process *process)
{
	int n = dprintf(fd, "%s\n%s\n", process->engine, process->engine_reason);

	return n < 0 ? -errno : 0;
}

static bool is_engine(const char *text, size_t bytes)
{
	return bytes == 3 && (memcmp(text, "emu", 3) == 0 || memcmp(text, "kvm", 3) == 0);
}

void machine_engine_parse(const char *text, size_t bytes, struct machine_process *ret)
{
	const char *end = memchr(text, '\n', bytes);
	size_t first = end == NULL ? bytes : (size_t)(end - text), at = first + 1, n = 0;

	if (!is_engine(text, first)) {
		return;
	}
	memcpy(ret->engine, text, first);
	ret->engine[first] = '\0';
	/* What is shown is printable; the rest of a file that somebody wrote into is not. */
	while (at + n < bytes && n < sizeof(ret->engine_reason) - 1 && text[at + n] >= ' ' &&
	       text[at + n] <= '~') {
		ret->engine_reason[n] = text[at + n];
		n++;
	}
	ret->engine_reason[n] = '\0';
}

void machine_engine_read(const char *path, struct machine_process *ret)
{
	char text[MACHINE_ENGINE_BYTES + MACHINE_REASON_BYTES];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (fd >= 0) {
		close(fd);
	}
	if (n > 0) {
		machine_engine_parse(text, (size_t)n, ret);
	}
}
