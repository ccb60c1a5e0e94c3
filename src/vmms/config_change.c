// SPDX-License-Identifier: Apache-2.0
/* Making and changing configurations. */
#include <stdio.h>
#include <string.h>

#include "adapter_check.h"
#include "clock.h"
#include "config.h"
#include "lib/bits.h"
#include "lib/check.h"

#define MEMORY_DEFAULT ((json_int_t)512 << 20)

static json_t *defaults(void)
{
	json_t *o = json_pack(
		"{s:s, s:{s:s, s:s, s:s}, s:s, s:{s:i, s:s, s:i, s:i, s:i, s:s, s:s}, s:{s:I}, "
		"s:[], s:[], s:[], "
		"s:{s:s, s:i, s:i}, s:s, s:s, "
		"s:{s:s, s:n}}",
		"notes", "", "boot", "kernel", "", "initrd", "", "cmdline", "", "engine", "auto",
		"processors", "count", 1, "model", "", "weight", 100, "reserve_percent", 0,
		"limit_percent", 100, "affinity", "", "numa_nodes", "", "memory", "startup_bytes",
		MEMORY_DEFAULT, "disks", "dvds", "adapters", "automatic_start", "action",
		"if-was-running", "delay_s", 0, "order", 0, "automatic_stop", "save",
		"automatic_recovery", "restart", "checkpoints", "type", "production", "parent");

	CHECK(o != NULL);
	return o;
}

/* ---- Completing disks, drives and adapters ---- */

static void set_missing(json_t *o, const char *name, json_t *value)
{
	if (json_object_get(o, name) == NULL) {
		json_object_set_new(o, name, value);
	} else {
		json_decref(value);
	}
}

/* The first free place of its controller, where the client did not say. */
static void complete_place(const json_t *c, json_t *item)
{
	const char *controller = json_string_value(json_object_get(item, "controller"));
	struct vm_config_place p = {
		.ide = controller != NULL && strcmp(controller, "ide") == 0,
		.number = (unsigned)json_integer_value(json_object_get(item, "number")),
	};
	unsigned limit = p.ide ? 2 : 64;

	if (json_object_get(item, "location") != NULL) {
		return;
	}
	while (p.location < limit && (vm_config_place_find(c, "disks", &p) >= 0 ||
				      vm_config_place_find(c, "dvds", &p) >= 0)) {
		p.location++;
	}
	json_object_set_new(item, "location", json_integer(p.location));
}

static void complete_number(const json_t *c, json_t *a)
{
	json_int_t number = 0;

	while (vm_config_adapter_find(c, number) >= 0) {
		number++;
	}
	set_missing(a, "number", json_integer(number));
}

static void complete_drive(const char *kind, json_t *item)
{
	set_missing(item, "controller", json_string("scsi"));
	set_missing(item, "number", json_integer(0));
	set_missing(item, "path", json_string(""));
	if (strcmp(kind, "disks") == 0) {
		set_missing(item, "read_only", json_false());
		set_missing(item, "iops", json_integer(0));
	}
}

static void complete_adapter(json_t *a)
{
	char mac[18];

	set_missing(a, "name", json_string("Network Adapter"));
	set_missing(a, "switch", json_string(""));
	if (json_string_length(json_object_get(a, "mac")) == 0) {
		adapter_make_mac(mac);
		json_object_set_new(a, "mac", json_string(mac));
	}
}

/* What does not depend on the others; @settle: what does. */
static void complete_list(json_t *c, const char *kind, bool settle)
{
	json_t *list = json_object_get(c, kind);
	bool adapters = strcmp(kind, "adapters") == 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *item = json_array_get(list, i);

		if (!json_is_object(item)) {
			continue; /* the check refuses it */
		}
		if (adapters && settle) {
			complete_number(c, item);
		} else if (adapters) {
			complete_adapter(item);
		} else if (settle) {
			complete_place(c, item);
		} else {
			complete_drive(kind, item);
		}
	}
}

/* Who says where it goes has that place before those that do not. */
static void complete_all(json_t *c)
{
	static const char *const kinds[] = {"disks", "dvds", "adapters"};

	for (unsigned settle = 0; settle < 2; settle++) {
		for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
			complete_list(c, kinds[i], settle != 0);
		}
	}
}

json_t *vm_config_add(json_t *c, const char *kind, const json_t *item, struct schema_error *error)
{
	json_t *copy = json_deep_copy(item);

	CHECK(copy != NULL);
	json_array_append_new(json_object_get(c, kind), copy);
	complete_all(c);
	return vm_config_check(c, error) ? copy : NULL;
}

/* ---- Whole configurations ---- */

static const char *const own_members[] = {"format",  "revision",     "id",
					  "created", "restore_from", "cloned_from"};

/* RFC 7386. What comes in is no deeper than its parser allows. */
static void merge(json_t *to, const json_t *patch)
{
	const char *key;
	const json_t *value;

	for (void *i = json_object_iter((json_t *)(uintptr_t)patch); i != NULL;
	     i = json_object_iter_next((json_t *)(uintptr_t)patch, i)) {
		key = json_object_iter_key(i);
		value = json_object_iter_value(i);
		if (json_is_null(value)) {
			json_object_del(to, key);
		} else if (!json_is_object(value)) {
			json_object_set_new(to, key, json_deep_copy(value));
		} else {
			if (!json_is_object(json_object_get(to, key))) {
				json_object_set_new(to, key, json_object());
			}
			merge(json_object_get(to, key), value);
		}
	}
}

/* Which checkpoint the present comes from, and whose files are whose. */
static void keep_checkpoints(json_t *mine, const json_t *keep)
{
	static const char *const members[] = {"parent", "files", "verify"};

	if (!json_is_object(mine)) {
		return; /* the check says so */
	}
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		json_object_del(mine, members[i]);
		json_object_set(mine, members[i], json_object_get(keep, members[i]));
	}
	if (json_object_get(mine, "parent") == NULL) {
		json_object_set_new(mine, "parent", json_null());
	}
}

/* What the service keeps by itself stays as it is in @keep; members of which a patch took away the value have the default again. */
static void settle(json_t *c, const json_t *keep)
{
	json_t *d = defaults();

	for (size_t i = 0; i < ARRAY_LEN(own_members); i++) {
		json_object_del(c, own_members[i]);
		json_object_set(c, own_members[i], json_object_get(keep, own_members[i]));
	}
	json_object_update_missing(c, d);
	for (void *i = json_object_iter(d); i != NULL; i = json_object_iter_next(d, i)) {
		json_t *mine = json_object_get(c, json_object_iter_key(i));

		if (json_is_object(mine)) {
			json_object_update_missing(mine, json_object_iter_value(i));
		}
	}
	keep_checkpoints(json_object_get(c, "checkpoints"), json_object_get(keep, "checkpoints"));
	json_decref(d);
}

static json_t *checked(json_t *c, struct schema_error *error)
{
	complete_all(c);
	if (!vm_config_check(c, error)) {
		json_decref(c);
		return NULL;
	}
	return c;
}

json_t *vm_config_create(const json_t *body, const char *id, struct schema_error *error)
{
	char now[CLOCK_TEXT_BYTES];
	json_t *own = json_pack("{s:i, s:i, s:s, s:s}", "format", 1, "revision", 1, "id", id,
				"created", clock_text(clock_now_us(), now));
	json_t *c = json_object();

	CHECK(own != NULL && c != NULL);
	/* The members that every file begins with come first. */
	json_object_update(c, own);
	merge(c, body);
	settle(c, own);
	json_decref(own);
	return checked(c, error);
}

json_t *vm_config_patch(const json_t *old, const json_t *patch, struct schema_error *error)
{
	json_t *c = json_deep_copy(old);

	CHECK(c != NULL);
	merge(c, patch);
	settle(c, old);
	return checked(c, error);
}

/* ---- When ---- */

/* Of a configuration from before there was the member, its default. */
static const json_t *member_of(const json_t *c, const json_t *d, const char *part,
			       const char *member)
{
	const json_t *value = json_object_get(c, part);

	if (member != NULL) {
		value = json_object_get(value, member);
	}
	if (value == NULL) {
		value = json_object_get(d, part);
		value = member != NULL ? json_object_get(value, member) : value;
	}
	return value;
}

enum vm_config_when vm_config_when(const json_t *old_config, const json_t *new_config,
				   const char **ret_member)
{
	static const struct {
		const char *part, *member, *shown;
		enum vm_config_when when;
	} rules[] = {
		{"boot", NULL, "boot", VM_CONFIG_OFF},
		{"processors", "count", "processors.count", VM_CONFIG_OFF},
		{"processors", "model", "processors.model", VM_CONFIG_OFF},
		{"memory", NULL, "memory", VM_CONFIG_OFF},
		{"disks", NULL, "disks", VM_CONFIG_OFF},
		{"dvds", NULL, "dvds", VM_CONFIG_OFF},
		{"adapters", NULL, "adapters", VM_CONFIG_OFF},
		{"engine", NULL, "engine", VM_CONFIG_NO_WORKER},
		{"processors", "numa_nodes", "processors.numa_nodes", VM_CONFIG_NO_WORKER},
	};
	json_t *d = defaults();
	size_t i = 0;

	while (i < ARRAY_LEN(rules) &&
	       json_equal(member_of(old_config, d, rules[i].part, rules[i].member),
			  member_of(new_config, d, rules[i].part, rules[i].member))) {
		i++;
	}
	json_decref(d);
	if (i == ARRAY_LEN(rules)) {
		return VM_CONFIG_ANY_TIME;
	}
	*ret_member = rules[i].shown;
	return rules[i].when;
}
