// SPDX-License-Identifier: Apache-2.0
#include "vm_guest.h"

#include <stdio.h>
#include <string.h>

#include "link.h"
#include "vm.h"

#define KEY_BYTES 256u
#define VALUE_BYTES 4096u
#define PAIRS_MAX 512u

void vm_guest_set_heartbeat(struct vm *vm, const char *text)
{
	char state[8] = "";

	(void)link_value(text, "state", state, sizeof(state));
	vm->heartbeat = strcmp(state, "ok") == 0     ? "ok"
			: strcmp(state, "lost") == 0 ? "lost"
						     : "none";
}

static void on_heartbeat(void *ctx, const char *answer)
{
	if (link_is_ok(answer)) {
		vm_guest_set_heartbeat(ctx, answer);
	}
}

/* "%0A" and such in what a guest wrote; false: too long. */
static bool unescape(const char *text, size_t bytes, char *ret, size_t size)
{
	unsigned byte;

	for (size_t i = 0; i < bytes; i++) {
		if (size <= 1) {
			return false;
		}
		if (text[i] == '%' && i + 2 < bytes && sscanf(text + i + 1, "%2x", &byte) == 1 &&
		    byte != 0) {
			*ret++ = (char)byte;
			i += 2;
		} else {
			*ret++ = text[i];
		}
		size--;
	}
	*ret = '\0';
	return true;
}

/* Addresses with ';' between them. */
static void add_addresses(json_t *list, const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, ";");

		if (n > 0) {
			json_array_append_new(list, json_stringn(text, n));
		}
		text += text[n] == '\0' ? n : n + 1;
	}
}

static void take_line(struct vm *vm, const char *line, size_t bytes)
{
	const char *equals = memchr(line, '=', bytes);
	char key[KEY_BYTES], value[VALUE_BYTES];

	if (equals == NULL || !unescape(line, (size_t)(equals - line), key, sizeof(key)) ||
	    !unescape(equals + 1, bytes - (size_t)(equals + 1 - line), value, sizeof(value))) {
		return;
	}
	json_t *text = json_string(value); /* NULL: no UTF-8 */

	if (text == NULL || json_object_size(vm->guest) >= PAIRS_MAX) {
		json_decref(text);
		return;
	}
	if (strcmp(key, "NetworkAddressIPv4") == 0 || strcmp(key, "NetworkAddressIPv6") == 0) {
		add_addresses(vm->addresses, value);
	}
	json_object_set_new(vm->guest, key, text);
}

void vm_guest_take(struct vm *vm, const char *answer)
{
	vm_guest_forget(vm);
	vm->guest = json_object();
	vm->addresses = json_array();
	for (const char *line = answer; *line != '\0';) {
		const char *end = strchrnul(line, '\n');

		take_line(vm, line, (size_t)(end - line));
		line = *end == '\0' ? end : end + 1;
	}
}

static void on_pairs(void *ctx, const char *answer)
{
	if (link_is_ok(answer)) {
		vm_guest_take(ctx, answer);
	}
}

void vm_guest_ask(struct vm *vm)
{
	if (vm->worker.link != NULL) {
		link_ask_words(vm->worker.link, on_heartbeat, vm, -1, "heartbeat", NULL);
		link_ask_words(vm->worker.link, on_pairs, vm, -1, "kvp", NULL);
	}
}

void vm_guest_forget(struct vm *vm)
{
	json_decref(vm->guest);
	json_decref(vm->addresses);
	vm->guest = vm->addresses = NULL;
}
