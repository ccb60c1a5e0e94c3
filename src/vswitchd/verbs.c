// SPDX-License-Identifier: Apache-2.0
/* What the process can be asked to do: switches, looking, and which verb is whose. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon.h"
#include "lib/bits.h"
#include "message.h"
#include "options.h"
#include "verbs.h"

_Static_assert(sizeof(((struct request *)0)->fds) / sizeof(int) == MESSAGE_DESCRIPTORS, "fds");

int verbs_fail(struct request *q, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(q->error, sizeof(q->error), fmt, ap);
	va_end(ap);
	return code;
}

/* ---- Finding what is meant ---- */

static int unknown_switch(struct request *q, const char *name)
{
	char known[600] = "";
	size_t at = 0;

	for (const struct absent *a = q->daemon->absent; a != NULL; a = a->next) {
		if (strcmp(a->config.name, name) == 0) {
			return verbs_fail(q, -ENODEV, "%s", a->why);
		}
	}
	for (const struct sw *s = q->daemon->switches; s != NULL; s = s->next) {
		int n = snprintf(known + at, sizeof(known) - at, "%s%s", at == 0 ? "" : ", ",
				 s->config.name);

		at += n > 0 && (size_t)n < sizeof(known) - at ? (size_t)n : 0;
	}
	return verbs_fail(
		q, -ENOENT,
		"there is no switch '%.80s'; found %s: name one of them, or make it with `virid "
		"switch create`",
		name, known);
}

int verbs_switch(struct request *q, struct sw **ret)
{
	const char *name;

	if (!json_text(q->message->body, "switch", &name)) {
		return verbs_fail(q, -EINVAL, "the request names no switch");
	}
	*ret = sw_find(q->daemon, name);
	return *ret == NULL ? unknown_switch(q, name) : 0;
}

int verbs_port(struct request *q, struct sw *s, const char *key, struct port **ret)
{
	char known[600] = "none";
	const char *name;
	size_t at = 0;

	if (!json_text(q->message->body, key, &name)) {
		return verbs_fail(q, -EINVAL, "the request names no port as \"%s\"", key);
	}
	*ret = port_find(s, name);
	if (*ret != NULL) {
		return 0;
	}
	for (const struct port *p = s->ports; p != NULL; p = p->next) {
		int n = snprintf(known + at, sizeof(known) - at, "%s%s", at == 0 ? "" : ", ",
				 port_name(p));

		at += n > 0 && (size_t)n < sizeof(known) - at ? (size_t)n : 0;
	}
	return verbs_fail(q, -ENOENT, "switch '%s' has no port '%.80s'; found %s", s->config.name,
			  name, known);
}

/* ---- Switches ---- */

static const struct sw *interface_owner(struct daemon *d, const char *name)
{
	for (const struct sw *s = d->switches; s != NULL; s = s->next) {
		for (unsigned i = 0; i < s->config.interface_count; i++) {
			if (strcmp(s->config.interfaces[i], name) == 0) {
				return s;
			}
		}
	}
	return NULL;
}

static int do_create(struct request *q)
{
	struct switch_config config;
	json_t *o = json_object_get(q->message->body, "config");

	if (o == NULL) {
		return verbs_fail(q, -EINVAL, "the request has no \"config\"");
	}
	if (!switch_config_parse(o, &config, q->error, sizeof(q->error))) {
		return -EINVAL;
	}
	if (sw_find(q->daemon, config.name) != NULL) {
		return verbs_fail(
			q, -EEXIST,
			"there is a switch '%s' already; choose another name, or remove it with "
			"`virid switch remove`",
			config.name);
	}
	if (q->daemon->switch_count > SWITCHES_MAX) {
		return verbs_fail(q, -ENOSPC, "there are %u switches already",
				  q->daemon->switch_count);
	}
	if (q->message->fd_count != config.interface_count) {
		return verbs_fail(q, -EINVAL, "switch '%s': %u descriptors for %u interfaces",
				  config.name, q->message->fd_count, config.interface_count);
	}
	for (unsigned i = 0; i < config.interface_count; i++) {
		const struct sw *owner = interface_owner(q->daemon, config.interfaces[i]);

		if (owner != NULL) {
			return verbs_fail(
				q, -EBUSY,
				"interface '%s' belongs to switch '%s'; expected one of its own",
				config.interfaces[i], owner->config.name);
		}
	}
	sw_drop_absent(q->daemon, config.name);
	return sw_create(q->daemon, &config, q->message->fds, q->error, sizeof(q->error));
}

static int do_remove(struct request *q)
{
	const char *name = "";
	struct sw *s = NULL;

	if (json_text(q->message->body, "switch", &name) && sw_drop_absent(q->daemon, name)) {
		return 0;
	}
	int r = verbs_switch(q, &s);

	if (r < 0) {
		return r;
	}
	if (strcmp(s->config.name, SWITCH_DEFAULT) == 0) {
		return verbs_fail(q, -EPERM, "the switch '%s' is always there", SWITCH_DEFAULT);
	}
	if (s->vm_count > 0) {
		const struct port *vm = s->ports;

		while (!port_is_cable(vm)) {
			vm = vm->next;
		}
		return verbs_fail(
			q, -EBUSY,
			"switch '%s' has %u adapters plugged in (%s%s); end their machines, or "
			"unplug them first",
			s->config.name, s->vm_count, port_name(vm),
			s->vm_count > 1 ? " and others" : "");
	}
	sw_destroy(s);
	return 0;
}

/* ---- Looking ---- */

static int do_list(struct request *q)
{
	json_t *list = json_array();

	for (struct sw *s = q->daemon->switches; s != NULL; s = s->next) {
		json_append(list, report_switch(s, false));
	}
	for (const struct absent *a = q->daemon->absent; a != NULL; a = a->next) {
		json_t *o = switch_config_json(&a->config);

		json_add_text(o, "trouble", a->why);
		json_append(list, o);
	}
	json_add(q->answer, "switches", list);
	return 0;
}

static int do_show(struct request *q)
{
	struct sw *s = NULL;
	int r = verbs_switch(q, &s);

	if (r == 0) {
		json_add(q->answer, "switch", report_switch(s, true));
	}
	return r;
}

static int do_stats(struct request *q)
{
	struct sw *s = NULL;
	struct port *p = NULL;
	int r = verbs_switch(q, &s);

	if (r < 0 || (json_object_get(q->message->body, "port") != NULL &&
		      (r = verbs_port(q, s, "port", &p)) < 0)) {
		return r;
	}
	json_t *list = json_array();

	for (struct port *each = s->ports; each != NULL; each = each->next) {
		if (p == NULL || p == each) {
			json_append(list, report_stats(each));
		}
	}
	json_add(q->answer, "ports", list);
	return 0;
}

static int do_macs(struct request *q)
{
	struct sw *s = NULL;
	int r = verbs_switch(q, &s);

	if (r == 0) {
		json_add(q->answer, "macs", report_macs(s));
	}
	return r;
}

/* ---- Dispatch ---- */

static const struct {
	const char *name;
	int (*fn)(struct request *q);
	const char *members[6];
	bool options; /* a port's options may stand beside them */
} verbs[] = {
	{"plug", verbs_plug, {"switch", "port", "queues"}, true},
	{"port", verbs_change, {"switch", "port"}, true},
	{"mirror", verbs_mirror, {"switch", "from", "to", "in", "out", "off"}, false},
	{"create", do_create, {"config"}, false},
	{"remove", do_remove, {"switch"}, false},
	{"list", do_list, {0}, false},
	{"show", do_show, {"switch"}, false},
	{"stats", do_stats, {"switch", "port"}, false},
	{"macs", do_macs, {"switch"}, false},
};

static bool is_member(size_t verb, const char *key)
{
	if (strcmp(key, "do") == 0 || (verbs[verb].options && options_known(key))) {
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(verbs[verb].members) && verbs[verb].members[i] != NULL;
	     i++) {
		if (strcmp(verbs[verb].members[i], key) == 0) {
			return true;
		}
	}
	return false;
}

int verbs_do(struct request *q)
{
	const char *name, *key;
	json_t *unused;
	size_t i = 0;

	if (q->connected != NULL) {
		/* A worker has it, and may have been taken over by its guest. */
		return verbs_fail(
			q, -EPERM,
			"this connection has a port already, and can ask for nothing else");
	}
	if (!json_text(q->message->body, "do", &name)) {
		return verbs_fail(q, -EINVAL, "the request does not say what to \"do\"");
	}
	while (i < ARRAY_LEN(verbs) && strcmp(verbs[i].name, name) != 0) {
		i++;
	}
	if (i == ARRAY_LEN(verbs)) {
		return verbs_fail(
			q, -EINVAL,
			"'%.40s' is not known; expected plug, port, mirror, create, remove, "
			"list, show, stats or macs",
			name);
	}
	json_object_foreach(q->message->body, key, unused)
	{
		(void)unused;
		if (!is_member(i, key)) {
			return verbs_fail(q, -EINVAL, "%s: '%.40s' is not known here", name, key);
		}
	}
	if (q->message->fd_count > 0 && verbs[i].fn != do_create) {
		return verbs_fail(q, -EINVAL, "%s: takes no descriptors", name);
	}
	return verbs[i].fn(q);
}
