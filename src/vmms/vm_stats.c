// SPDX-License-Identifier: Apache-2.0
/* What the worker counts, kept from its last answer. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "vm.h"
#include "vmms.h"

#define LOOK_NS (UINT64_C(1000) * 1000000)
#define DEPTH_MAX 4u

/* A number where it is one. */
static json_t *value_of(const char *text, size_t bytes)
{
	char copy[32], *end;

	if (bytes > 0 && bytes < sizeof(copy) && text[0] >= '0' && text[0] <= '9') {
		memcpy(copy, text, bytes);
		copy[bytes] = '\0';
		unsigned long long n = strtoull(copy, &end, 10);

		if (*end == '\0' && n <= INT64_MAX) {
			return json_integer((json_int_t)n);
		}
	}
	return json_stringn(text, bytes);
}

/* "group.name" is in an object of its own, "group.3.name" in one in that. */
static json_t *place_of(json_t *o, const char *key, size_t bytes, const char **ret_name,
			size_t *ret_bytes)
{
	const char *dot;

	for (unsigned depth = 0; depth < DEPTH_MAX && (dot = memchr(key, '.', bytes)) != NULL;
	     depth++) {
		char part[64];
		size_t n = (size_t)(dot - key);

		if (n == 0 || n >= sizeof(part)) {
			break;
		}
		memcpy(part, key, n);
		part[n] = '\0';
		json_t *inner = json_object_get(o, part);

		if (inner == NULL) {
			inner = json_object();
			if (json_object_set_new(o, part, inner) < 0) {
				break; /* its name is no UTF-8 */
			}
		}
		if (!json_is_object(inner)) {
			break;
		}
		o = inner;
		bytes -= n + 1;
		key = dot + 1;
	}
	*ret_name = key;
	*ret_bytes = bytes;
	return o;
}

/* "name=value" */
static void add_value(json_t *o, const char *word, size_t bytes)
{
	const char *equals = memchr(word, '=', bytes);
	char key[64];
	size_t n = equals == NULL ? 0 : (size_t)(equals - word);

	if (n > 0 && n < sizeof(key)) {
		memcpy(key, word, n);
		key[n] = '\0';
		json_object_set_new(o, key, value_of(equals + 1, bytes - n - 1));
	}
}

/* "kind.instance name=value name=value": an object. */
static void add_instance(json_t *o, const char *line, size_t bytes)
{
	const char *end = line + bytes, *word = memchr(line, ' ', bytes), *name;
	size_t n;
	char key[64];
	json_t *place = place_of(o, line, (size_t)(word - line), &name, &n);

	if (n == 0 || n >= sizeof(key)) {
		return;
	}
	memcpy(key, name, n);
	key[n] = '\0';
	json_t *instance = json_object();

	if (json_object_set_new(place, key, instance) < 0) {
		return; /* its name is no UTF-8 */
	}
	while (word < end) {
		word++;
		const char *next = memchr(word, ' ', (size_t)(end - word));

		n = (size_t)((next != NULL ? next : end) - word);
		add_value(instance, word, n);
		word += n;
	}
}

static void add_line(json_t *o, const char *line, size_t bytes)
{
	const char *equals = memchr(line, '=', bytes), *space = memchr(line, ' ', bytes), *name;
	size_t n;

	if (equals == NULL) {
		return;
	}
	if (space != NULL && space < equals) {
		add_instance(o, line, bytes);
		return;
	}
	json_t *place = place_of(o, line, (size_t)(equals - line), &name, &n);

	add_value(place, name, bytes - (size_t)(name - line));
}

void vm_stats_take(struct vm *vm, const char *answer)
{
	json_t *o = json_object();

	for (const char *line = answer; *line != '\0';) {
		const char *end = strchrnul(line, '\n');

		add_line(o, line, (size_t)(end - line));
		line = *end == '\0' ? end : end + 1;
	}
	json_decref(vm->worker.stats);
	vm->worker.stats = o;
}

static void on_answer(void *ctx, const char *answer)
{
	if (link_is_ok(answer)) {
		vm_stats_take(ctx, answer);
	}
}

const json_t *vm_stats(struct vm *vm)
{
	struct vm_worker *w = &vm->worker;
	uint64_t now = host_now_ns();

	if (w->link != NULL && now - w->stats_asked_ns >= LOOK_NS) {
		w->stats_asked_ns = now;
		link_ask_words(w->link, on_answer, vm, -1, "stats", NULL);
	}
	return w->stats;
}
