/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a port that fell silent is looked at before it sleeps and has to be woken. Looking on costs a processor; so it is done only as long as it has paid
 * lately, and not while threads of this host wait for a processor: what brings the next frame (a VP, a worker) may be one of them.
 */
#ifndef VSWITCHD_SPIN_H
#define VSWITCHD_SPIN_H

#include <stdbool.h>
#include <stdint.h>

/* All zero but for load_fd: never. */
struct spin {
	uint64_t max_ns;     /* 0: never */
	uint64_t ns;	     /* what pays at present */
	int load_fd;	     /* /proc/loadavg; -1: nobody knows who waits */
	unsigned processors; /* of the host */
	uint64_t asked_ns;   /* when it was last looked who waits; 0: not yet */
	bool crowded;	     /* somebody did */
};

/* Opens what it needs. */
void spin_init(struct spin *s);
void spin_fini(struct spin *s);
/* How long to look on at @now_ns (monotonic, not 0). */
uint64_t spin_time(struct spin *s, uint64_t now_ns);
/* Nothing came while it was looked on: a little less long the next time. */
void spin_was_vain(struct spin *s);
/* A port was woken @slept_ns after it had gone to sleep: nobody had had to, had it been looked at a little longer. */
void spin_was_short(struct spin *s, uint64_t slept_ns);
/* Threads of the host that run or want to, by the text of /proc/loadavg. False: it is something else. */
bool spin_runnable(const char *text, unsigned *ret);

#endif
