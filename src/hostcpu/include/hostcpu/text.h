/* SPDX-License-Identifier: Apache-2.0 */
/* What Linux says about processors and cgroups in its files: foreign text, not ended by NUL. No state; any thread. */
#ifndef HOSTCPU_TEXT_H
#define HOSTCPU_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOSTCPU_PATH_BYTES 1024u

/*
 * /proc/PID/cgroup: the path in cgroup v2's tree ("0::/a/b"), which begins with '/' and has no part "..". False: there is none, it is outside of the tree that this
 * process sees, or it is too long.
 */
bool hostcpu_cgroup_parse(const char *text, size_t bytes, char ret[HOSTCPU_PATH_BYTES]);

/* cgroup.controllers, cgroup.subtree_control: is @word one of the words? */
bool hostcpu_has_word(const char *text, size_t bytes, const char *word);

/* cpu.max: "QUOTA PERIOD" in microseconds; "max" is a quota of UINT64_MAX. The period is above 0. */
bool hostcpu_max_parse(const char *text, size_t bytes, uint64_t *ret_quota_us,
		       uint64_t *ret_period_us);

/* cpu.stat; what it does not say is 0. */
struct hostcpu_usage {
	uint64_t usage_us;
	uint64_t periods, throttled_periods;
	uint64_t throttled_us;
};
/* False: it does not even say the usage. */
bool hostcpu_usage_parse(const char *text, size_t bytes, struct hostcpu_usage *ret);

#endif
