// SPDX-License-Identifier: Apache-2.0
#include "hostcpu/text.h"

#include <string.h>

#include "lib/bits.h"

/* The next line of what is left, without its end; false: there is none. */
static bool take_line(const char **text, size_t *bytes, const char **ret_line, size_t *ret_bytes)
{
	if (*bytes == 0) {
		return false;
	}
	const char *end = memchr(*text, '\n', *bytes);
	size_t n = end == NULL ? *bytes : (size_t)(end - *text), step = n + (end != NULL);

	*ret_line = *text;
	*ret_bytes = n;
	*text += step;
	*bytes -= step;
	return true;
}

/* Digits, all of it, that fit. */
static bool number(const char *text, size_t bytes, uint64_t *ret)
{
	uint64_t n = 0;

	if (bytes == 0) {
		return false;
	}
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(n, (uint64_t)10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(text[i] - '0'), &n)) {
			return false;
		}
	}
	*ret = n;
	return true;
}

/* ---- /proc/PID/cgroup ---- */

/* A process outside of our namespace's root has a path that begins with "/..". */
static bool goes_up(const char *path)
{
	for (const char *at = strstr(path, "/.."); at != NULL; at = strstr(at + 1, "/..")) {
		if (at[3] == '/' || at[3] == '\0') {
			return true;
		}
	}
	return false;
}

bool hostcpu_cgroup_parse(const char *text, size_t bytes, char ret[HOSTCPU_PATH_BYTES])
{
	const char *line;
	char path[HOSTCPU_PATH_BYTES];
	size_t n;

	while (take_line(&text, &bytes, &line, &n)) {
		if (n < 4 || memcmp(line, "0::/", 4) != 0) {
			continue;
		}
		line += 3;
		n -= 3;
		if (n >= sizeof(path) || memchr(line, '\0', n) != NULL) {
			return false;
		}
		memcpy(path, line, n);
		path[n] = '\0';
		if (goes_up(path)) {
			return false;
		}
		memcpy(ret, path, n + 1);
		return true;
	}
	return false;
}

bool hostcpu_has_word(const char *text, size_t bytes, const char *word)
{
	size_t length = strlen(word);

	for (size_t at = 0; at < bytes;) {
		size_t end = at;

		while (end < bytes && text[end] != ' ' && text[end] != '\n') {
			end++;
		}
		if (end - at == length && memcmp(text + at, word, length) == 0) {
			return true;
		}
		at = end + 1;
	}
	return false;
}

/* ---- cpu.max and cpu.stat ---- */

bool hostcpu_max_parse(const char *text, size_t bytes, uint64_t *ret_quota_us,
		       uint64_t *ret_period_us)
{
	const char *line, *blank;
	uint64_t quota = UINT64_MAX, period;
	size_t n;

	if (!take_line(&text, &bytes, &line, &n) || (blank = memchr(line, ' ', n)) == NULL) {
		return false;
	}
	size_t first = (size_t)(blank - line);
	bool none = first == 3 && memcmp(line, "max", 3) == 0;

	if ((!none && !number(line, first, &quota)) || !number(blank + 1, n - first - 1, &period) ||
	    period == 0) {
		return false;
	}
	*ret_quota_us = quota;
	*ret_period_us = period;
	return true;
}

bool hostcpu_usage_parse(const char *text, size_t bytes, struct hostcpu_usage *ret)
{
	struct hostcpu_usage u = {0};
	const struct {
		const char *name;
		uint64_t *value;
	} fields[] = {{"usage_usec", &u.usage_us},
		      {"nr_periods", &u.periods},
		      {"nr_throttled", &u.throttled_periods},
		      {"throttled_usec", &u.throttled_us}};
	bool usage = false;
	const char *line;
	size_t n;

	while (take_line(&text, &bytes, &line, &n)) {
		for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
			size_t length = strlen(fields[i].name);

			if (n > length && line[length] == ' ' &&
			    memcmp(line, fields[i].name, length) == 0 &&
			    number(line + length + 1, n - length - 1, fields[i].value)) {
				usage = usage || i == 0;
			}
		}
	}
	if (usage) {
		*ret = u;
	}
	return usage;
}
