// SPDX-License-Identifier: Apache-2.0
#include "spin.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#define MAX_NS UINT64_C(50000)
#define MIN_NS UINT64_C(2000)
#define ASK_EVERY_NS UINT64_C(2000000) /* to ask takes some microseconds */
#define TEXT_BYTES 128u

void spin_init(struct spin *s)
{
	cpu_set_t ours;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	*s = (struct spin){.load_fd = -1};
	/* On a single processor who looks on keeps the others from bringing something. */
	if (sched_getaffinity(0, sizeof(ours), &ours) < 0 || CPU_COUNT(&ours) < 2 ||
	    processors < 2) {
		return;
	}
	s->max_ns = MAX_NS;
	s->ns = MAX_NS / 2;
	s->processors = (unsigned)processors;
	s->load_fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
}

void spin_fini(struct spin *s)
{
	if (s->load_fd >= 0) {
		close(s->load_fd);
		s->load_fd = -1;
	}
}

bool spin_runnable(const char *text, unsigned *ret)
{
	unsigned runnable, all;

	if (sscanf(text, "%*f %*f %*f %9u/%9u", &runnable, &all) != 2) {
		return false;
	}
	*ret = runnable;
	return true;
}

/* We are one of those who run. */
static bool somebody_waits(const struct spin *s)
{
	char text[TEXT_BYTES];
	ssize_t n = pread(s->load_fd, text, sizeof(text) - 1, 0);
	unsigned runnable;

	if (n <= 0) {
		return false;
	}
	text[n] = '\0';
	return spin_runnable(text, &runnable) && runnable > s->processors;
}

uint64_t spin_time(struct spin *s, uint64_t now_ns)
{
	if (s->load_fd >= 0 && (s->asked_ns == 0 || now_ns - s->asked_ns >= ASK_EVERY_NS)) {
		s->asked_ns = now_ns;
		s->crowded = somebody_waits(s);
	}
	return s->crowded ? 0 : s->ns;
}

void spin_was_vain(struct spin *s)
{
	if (!s->crowded && s->ns > MIN_NS) {
		s->ns -= s->ns / 8;
	}
}

void spin_was_short(struct spin *s, uint64_t slept_ns)
{
	if (slept_ns < s->max_ns) {
		s->ns = s->ns * 2 < s->max_ns ? s->ns * 2 : s->max_ns;
	}
}
