// SPDX-License-Identifier: Apache-2.0
#include "hostcpu/set.h"

#include <stdio.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

#define WORDS (HOSTCPU_MAX / 64)

bool hostcpu_set_has(const struct hostcpu_set *s, unsigned n)
{
	return n < HOSTCPU_MAX && (s->words[n / 64] & BIT64(n % 64)) != 0;
}

void hostcpu_set_add(struct hostcpu_set *s, unsigned n)
{
	CHECK(n < HOSTCPU_MAX);
	s->words[n / 64] |= BIT64(n % 64);
}

unsigned hostcpu_set_count(const struct hostcpu_set *s)
{
	unsigned count = 0;

	for (size_t i = 0; i < WORDS; i++) {
		count += (unsigned)__builtin_popcountll(s->words[i]);
	}
	return count;
}

bool hostcpu_set_is_empty(const struct hostcpu_set *s)
{
	return hostcpu_set_count(s) == 0;
}

bool hostcpu_set_equals(const struct hostcpu_set *a, const struct hostcpu_set *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool hostcpu_set_is_within(const struct hostcpu_set *s, const struct hostcpu_set *of)
{
	for (size_t i = 0; i < WORDS; i++) {
		if ((s->words[i] & ~of->words[i]) != 0) {
			return false;
		}
	}
	return true;
}

void hostcpu_set_intersect(struct hostcpu_set *s, const struct hostcpu_set *other)
{
	for (size_t i = 0; i < WORDS; i++) {
		s->words[i] &= other->words[i];
	}
}

void hostcpu_set_unite(struct hostcpu_set *s, const struct hostcpu_set *other)
{
	for (size_t i = 0; i < WORDS; i++) {
		s->words[i] |= other->words[i];
	}
}

unsigned hostcpu_set_next(const struct hostcpu_set *s, unsigned from)
{
	for (size_t i = from / 64; i < WORDS; i++) {
		uint64_t word =
			s->words[i] & (i == from / 64 ? ~UINT64_C(0) << from % 64 : ~UINT64_C(0));

		if (word != 0) {
			return (unsigned)(i * 64) + (unsigned)__builtin_ctzll(word);
		}
	}
	return HOSTCPU_MAX;
}

/* ---- Lists ---- */

/* A number at *@at, before @end; steps over it. */
static bool take_number(const char **at, const char *end, unsigned *ret)
{
	unsigned n = 0;
	const char *p = *at;

	while (p < end && *p >= '0' && *p <= '9' && n < HOSTCPU_MAX) {
		n = n * 10 + (unsigned)(*p - '0');
		p++;
	}
	if (p == *at || n >= HOSTCPU_MAX) {
		return false;
	}
	*at = p;
	*ret = n;
	return true;
}

/* "3" or "3-5" */
static bool take_range(const char **at, const char *end, struct hostcpu_set *s)
{
	unsigned first, last;

	if (!take_number(at, end, &first)) {
		return false;
	}
	last = first;
	if (*at < end && **at == '-') {
		(*at)++;
		if (!take_number(at, end, &last) || last < first) {
			return false;
		}
	}
	for (unsigned n = first; n <= last; n++) {
		hostcpu_set_add(s, n);
	}
	return true;
}

bool hostcpu_set_parse(const char *text, size_t bytes, struct hostcpu_set *ret)
{
	const char *end = text + bytes;
	struct hostcpu_set s = {{0}};

	if (bytes > 0 && end[-1] == '\n') {
		end--;
	}
	while (text < end) {
		if (!take_range(&text, end, &s)) {
			return false;
		}
		if (text == end) {
			break;
		}
		/* A comma is followed by something. */
		if (*text++ != ',' || text == end) {
			return false;
		}
	}
	*ret = s;
	return true;
}

void hostcpu_set_format(const struct hostcpu_set *s, char ret[HOSTCPU_LIST_BYTES])
{
	size_t used = 0;

	ret[0] = '\0';
	for (unsigned n = hostcpu_set_next(s, 0); n < HOSTCPU_MAX; n = hostcpu_set_next(s, n)) {
		unsigned last = n;

		while (hostcpu_set_has(s, last + 1)) {
			last++;
		}
		int more = last == n ? snprintf(ret + used, HOSTCPU_LIST_BYTES - used, "%s%u",
						used == 0 ? "" : ",", n)
				     : snprintf(ret + used, HOSTCPU_LIST_BYTES - used, "%s%u-%u",
						used == 0 ? "" : ",", n, last);

		used += (size_t)more;
		CHECK(used < HOSTCPU_LIST_BYTES);
		n = last + 1;
	}
}
