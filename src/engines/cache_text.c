// SPDX-License-Identifier: Apache-2.0
/* The text of a kept report: lines of a name, a space and a value, in a fixed order, so that a file cut short is no file. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cache.h"
#include "lib/bits.h"

#define FIRST_LINE "virid-engines 1"
#define LINES_MAX 16

struct lines {
	const char *at[LINES_MAX];
	size_t bytes[LINES_MAX];
	size_t count;
	size_t next;
};

static bool split(const char *text, size_t bytes, struct lines *l)
{
	l->count = l->next = 0;
	while (bytes > 0) {
		const char *end = memchr(text, '\n', bytes);

		if (end == NULL || l->count == LINES_MAX) {
			return false;
		}
		l->at[l->count] = text;
		l->bytes[l->count++] = (size_t)(end - text);
		bytes -= (size_t)(end - text) + 1;
		text = end + 1;
	}
	return true;
}

/* The value of the next line, which must have @name. */
static const char *value(struct lines *l, const char *name, size_t *ret_bytes)
{
	size_t n = strlen(name);

	if (l->next == l->count || l->bytes[l->next] < n + 1 ||
	    memcmp(l->at[l->next], name, n) != 0 || l->at[l->next][n] != ' ') {
		return NULL;
	}
	*ret_bytes = l->bytes[l->next] - n - 1;
	return l->at[l->next++] + n + 1;
}

static bool number(struct lines *l, const char *name, uint64_t *ret)
{
	size_t bytes;
	const char *v = value(l, name, &bytes);
	uint64_t n = 0;

	if (v == NULL || bytes == 0 || bytes > 19) { /* 19 digits cannot overflow */
		return false;
	}
	for (size_t i = 0; i < bytes; i++) {
		if (v[i] < '0' || v[i] > '9') {
			return false;
		}
		n = n * 10 + (uint64_t)(v[i] - '0');
	}
	*ret = n;
	return true;
}

static bool same(struct lines *l, const char *name, const char *expected)
{
	size_t bytes;
	const char *v = value(l, name, &bytes);

	return v != NULL && bytes == strlen(expected) && memcmp(v, expected, bytes) == 0;
}

/* Only what may be kept: any other state is looked at each time. */
static bool state(struct lines *l, enum engines_kvm_state *ret)
{
	static const enum engines_kvm_state kept[] = {ENGINES_KVM_WORKS, ENGINES_KVM_LACKS};
	size_t bytes;
	const char *v = value(l, "kvm", &bytes);

	for (size_t i = 0; v != NULL && i < ARRAY_LEN(kept); i++) {
		const char *name = engines_state_name(kept[i]);

		if (bytes == strlen(name) && memcmp(v, name, bytes) == 0) {
			*ret = kept[i];
			return true;
		}
	}
	return false;
}

static bool detail(struct lines *l, char ret[ENGINES_DETAIL_BYTES])
{
	size_t bytes;
	const char *v = value(l, "detail", &bytes);

	if (v == NULL || bytes >= ENGINES_DETAIL_BYTES) {
		return false;
	}
	for (size_t i = 0; i < bytes; i++) {
		if (v[i] < ' ' || v[i] > '~') {
			return false;
		}
	}
	memcpy(ret, v, bytes);
	ret[bytes] = '\0';
	return true;
}

static bool rates(struct lines *l, const char *engine, struct engines_rates *r)
{
	char names[3][24];

	snprintf(names[0], sizeof(names[0]), "%s-kernel-ips", engine);
	snprintf(names[1], sizeof(names[1]), "%s-user-ips", engine);
	snprintf(names[2], sizeof(names[2]), "%s-exit-ns", engine);
	return number(l, names[0], &r->kernel_ips) && number(l, names[1], &r->user_ips) &&
	       number(l, names[2], &r->exit_ns);
}

bool engines_cache_parse(const char *text, size_t bytes, uint64_t key,
			 struct engines_report *ret_report)
{
	struct engines_report r = {.kept = true};
	struct lines l;
	char expected[20];

	snprintf(expected, sizeof(expected), "%016" PRIx64, key);
	if (bytes > ENGINES_FILE_BYTES_MAX || !split(text, bytes, &l) ||
	    !same(&l, "virid-engines", "1") || !same(&l, "key", expected) ||
	    !number(&l, "measured", &r.measured_s) || !state(&l, &r.kvm_state) ||
	    !detail(&l, r.detail) || !rates(&l, "kvm", &r.kvm) || !rates(&l, "emu", &r.emu) ||
	    l.next != l.count) {
		return false;
	}
	*ret_report = r;
	return true;
}

size_t engines_cache_format(const struct engines_report *r, uint64_t key,
			    char text[ENGINES_FILE_BYTES_MAX])
{
	return (size_t)snprintf(
		text, ENGINES_FILE_BYTES_MAX,
		FIRST_LINE
		"\nkey %016" PRIx64 "\nmeasured %" PRIu64 "\nkvm %s\ndetail %s\n"
		"kvm-kernel-ips %" PRIu64 "\nkvm-user-ips %" PRIu64 "\nkvm-exit-ns %" PRIu64 "\n"
		"emu-kernel-ips %" PRIu64 "\nemu-user-ips %" PRIu64 "\nemu-exit-ns %" PRIu64 "\n",
		key, r->measured_s, engines_state_name(r->kvm_state), r->detail, r->kvm.kernel_ips,
		r->kvm.user_ips, r->kvm.exit_ns, r->emu.kernel_ips, r->emu.user_ips,
		r->emu.exit_ns);
}
