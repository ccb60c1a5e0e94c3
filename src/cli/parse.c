// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli.h"

bool parse_count(const char *text, uint64_t *ret)
{
	char *end;

	if (!isdigit((unsigned char)text[0])) {
		return false;
	}
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);

	if (errno != 0 || *end != '\0') {
		return false;
	}
	*ret = v;
	return true;
}

bool parse_size(const char *text, bool bare_mib, uint64_t *ret_bytes)
{
	static const char units[] = "KMGT";
	char *end;

	if (!isdigit((unsigned char)text[0])) {
		return false;
	}
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);

	if (errno != 0) {
		return false;
	}
	unsigned shift = bare_mib ? 20 : 0;

	if (*end != '\0') {
		const char *unit = strchr(units, toupper((unsigned char)*end));

		if (unit == NULL ||
		    (strcasecmp(end + 1, "") != 0 && strcasecmp(end + 1, "b") != 0 &&
		     strcasecmp(end + 1, "ib") != 0)) {
			return false;
		}
		shift = 10 * (unsigned)(unit - units + 1);
	}
	if (v > UINT64_MAX >> shift) {
		return false;
	}
	*ret_bytes = (uint64_t)v << shift;
	return true;
}

bool parse_duration_ns(const char *text, uint64_t *ret_ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"", 1e9}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
	char *end;

	if (!isdigit((unsigned char)text[0])) {
		return false;
	}
	double v = strtod(text, &end);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].name) == 0) {
			double ns = v * units[i].ns;

			if (!(ns < 9e18)) {
				return false;
			}
			*ret_ns = (uint64_t)ns;
			return true;
		}
	}
	return false;
}
