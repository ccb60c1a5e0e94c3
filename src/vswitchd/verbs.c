// SPDX-License-Identifier: Apache-2.0
/* What the process can be asked to do. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acl.h"
#include "daemon.h"
#include "lib/bits.h"
#include "message.h"
#include "options.h"
#include "vswitch/wire.h"

_Static_assert(sizeof(((struct request *)0)->fds) / sizeof(int) == MESSAGE_DESCRIPTORS, "fds");

__attribute__((format(printf, 3, 4))) static int fail(struct request *q, int code, const char *fmt,
						      ...)
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
			return fail(q, -ENODEV, "%s", a->why);
		}
	}
	for (const struct sw *s = q->daemon->switches; s != NULL; s = s->next) {
		int n = snprintf(known + at, sizeof(known) - at, "%s%s", at == 0 ? "" : ", ",
				 s->config.name);

		at += n > 0 && (size_t)n < sizeof(known) - at ? (size_t)n : 0;
	}
	return fail(
		q, -ENOENT,
		"there is no switch '%.80s'; found %s: name one of them, or make it with `virid "
		"switch create`",
		name, known);
}

static int get_switch(struct request *q, struct sw **ret)
{
	const char *name;

	if (!json_text(q->message->body, "switch", &name)) {
		return fail(q, -EINVAL, "the request names no switch");
	}
	*ret = sw_find(q->daemon, name);
	return *ret == NULL ? unknown_switch(q, name) : 0;
}

static int get_port(struct request *q, struct sw *s, const char *key, struct port **ret)
{
	char known[600] = "none";
	const char *name;
	size_t at = 0;

	if (!json_text(q->message->body, key, &name)) {
		return fail(q, -EINVAL, "the request names no port as \"%s\"", key);
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
	return fail(q, -ENOENT, "switch '%s' has no port '%.80s'; found %s", s->config.name, name,
		    known);
}

/* ---- Adapters ---- */

static struct json_object *pick_options(struct json_object *from)
{
	struct json_object *o = json_object_new_object();

	json_object_object_foreach(from, key, value)
	{
		if (options_known(key)) {
			json_object_object_add(o, key, json_object_get(value));
		}
	}
	return o;
}

/* A port whose owner is gone, but whose end we have not seen yet, makes room for its successor. */
static void drop_stale(struct sw *s, const char *name, const uint8_t *mac)
{
	for (struct port *p = s->ports; p != NULL; p = p->next) {
		if (port_is_cable(p) && !p->dying &&
		    (strcmp(port_name(p), name) == 0 ||
		     memcmp(vswitch_port_config(p->core)->mac, mac, NET_MAC_BYTES) == 0) &&
		    connection_is_gone(cable_connection(p))) {
			connection_close(cable_connection(p));
		}
	}
	daemon_reap(s->daemon);
}

static int explain_plug(struct request *q, struct sw *s, const struct vswitch_port_config *config,
			int r)
{
	char mac[18];

	mac_text(config->mac, mac);
	if (r == -EEXIST) {
		return fail(q, r, "switch '%s' has a port '%s' already; choose another name",
			    s->config.name, config->name);
	}
	for (const struct port *p = s->ports; r == -EADDRINUSE && p != NULL; p = p->next) {
		if (memcmp(vswitch_port_config(p->core)->mac, config->mac, NET_MAC_BYTES) == 0) {
			return fail(
				q, r,
				"switch '%s': the address %s is that of port '%s'; expected one "
				"that nobody has: give each adapter its own mac=",
				s->config.name, mac, port_name(p));
		}
	}
	if (r == -EADDRINUSE) {
		return fail(q, r,
			    "switch '%s': VLAN %u is a secondary one of another primary VLAN, or "
			    "primary and secondary at once; expected each in one role",
			    s->config.name, config->vlan.secondary);
	}
	if (r == -ENOSPC) {
		return fail(q, r, "switch '%s' is full: it has %u ports", s->config.name,
			    s->port_count);
	}
	return fail(q, r, "switch '%s': port '%s': %s", s->config.name, config->name, strerror(-r));
}

static int get_adapter(struct request *q, struct vswitch_port_config *config, uint64_t *ret_queues)
{
	const char *name;

	if (q->connected != NULL) {
		return fail(q, -EBUSY, "this connection has a port already; expected one for each");
	}
	if (!json_text(q->message->body, "port", &name) || name[0] == '\0' ||
	    strlen(name) >= VSWITCH_NAME_BYTES) {
		return fail(q, -EINVAL, "the adapter's port has no name of 1 to %u characters",
			    VSWITCH_NAME_BYTES - 1);
	}
	*ret_queues = 1;
	if (json_object_object_get_ex(q->message->body, "queues", NULL) &&
	    (!json_number(q->message->body, "queues", ret_queues) || *ret_queues < 1 ||
	     *ret_queues > WIRE_QUEUES_MAX)) {
		return fail(q, -EINVAL, "port '%s': expected 1 to %u queues", name,
			    WIRE_QUEUES_MAX);
	}
	if (!json_object_object_get_ex(q->message->body, "mac", NULL)) {
		return fail(q, -EINVAL, "port '%s': no address; expected \"mac\"", name);
	}
	strcpy(config->name, name);
	return 0;
}

static int do_plug(struct request *q)
{
	struct vswitch_port_config config = {.role = VSWITCH_VM, .takes = NET_TAKES_ALL};
	struct vswitch_acl *acls = NULL;
	struct port *p;
	struct sw *s = NULL;
	uint64_t queues;
	int r = get_switch(q, &s);

	if (r < 0 || (r = get_adapter(q, &config, &queues)) < 0) {
		return r;
	}
	struct json_object *options = pick_options(q->message->body);

	if (!options_config(options, &config, &acls, q->error, sizeof(q->error))) {
		json_object_put(options);
		return -EINVAL;
	}
	drop_stale(s, config.name, config.mac);
	r = sw_need_nat(s);
	if (r == 0) {
		r = cable_create(s, q->connection, &config, (unsigned)queues, &p, q->fds);
	}
	free(acls);
	if (r < 0) {
		json_object_put(options);
		return explain_plug(q, s, &config, r);
	}
	p->options = options;
	port_switch(p, options_link(options));
	connection_set_port(q->connection, p);
	q->fd_count = 2 + (unsigned)queues;
	json_object_object_add(q->answer, "queues", json_object_new_uint64(queues));
	json_object_object_add(
		q->answer, "mtu",
		json_object_new_int((int)(config.mtu != 0 ? config.mtu : sw_mtu(s))));
	json_object_object_add(q->answer, "takes", json_object_new_int(NET_TAKES_ALL));
	return 0;
}

int port_change(struct port *p, struct json_object *changes, char *error, size_t size)
{
	const struct vswitch_port_config *before = vswitch_port_config(p->core);
	struct vswitch_port_config config = {.role = before->role, .takes = before->takes};
	struct vswitch_acl *acls = NULL;
	struct json_object *merged = NULL;
	int r = 0;

	strcpy(config.name, before->name);
	if (p->options == NULL) {
		merged = json_object_new_object();
	} else if (json_object_deep_copy(p->options, &merged, NULL) < 0) {
		r = -ENOMEM;
	}
	if (r == 0) {
		options_merge(merged, changes);
		r = options_config(merged, &config, &acls, error, size) ? 0 : -EINVAL;
	}
	if (r < 0) {
		json_object_put(merged);
		return r;
	}
	if (before->role != VSWITCH_VM) {
		/* What follows from the interface; and without a word about VLANs, all of them. */
		config.mtu = before->mtu;
		memcpy(config.mac, before->mac, sizeof(config.mac));
		if (config.vlan.mode == VSWITCH_VLAN_ACCESS && config.vlan.vid == 0) {
			config.vlan.mode = VSWITCH_VLAN_TRUNK;
			memset(config.vlan.trunk, 0xff, sizeof(config.vlan.trunk));
		}
	}
	r = vswitch_port_configure(p->core, &config);
	free(acls);
	if (r < 0) {
		refuse(error, size, "switch '%s': port '%s': %s", p->sw->config.name, config.name,
		       r == -EADDRINUSE ? "the address or the secondary VLAN is another port's"
					: strerror(-r));
		json_object_put(merged);
		return r;
	}
	json_object_put(p->options);
	p->options = merged;
	port_switch(p, options_link(merged));
	p->wait_ns = 0;
	return 0;
}

static int do_port(struct request *q)
{
	struct port *p = NULL;
	struct sw *s = NULL;
	int r = get_switch(q, &s);

	if (r < 0 || (r = get_port(q, s, "port", &p)) < 0) {
		return r;
	}
	return port_change(p, q->message->body, q->error, sizeof(q->error));
}

/* ---- Mirrors ---- */

static int set_mirror(struct request *q, struct port *p, const char *what)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "mirror", json_object_new_string(what));
	int r = port_change(p, o, q->error, sizeof(q->error));

	json_object_put(o);
	return r;
}

static int do_mirror(struct request *q)
{
	struct json_object *body = q->message->body;
	bool in = json_flag(body, "in"), out = json_flag(body, "out"), off = json_flag(body, "off");
	struct port *from = NULL, *to = NULL;
	struct sw *s = NULL;
	int r = get_switch(q, &s);

	if (r < 0 || (r = get_port(q, s, "from", &from)) < 0 ||
	    (r = get_port(q, s, "to", &to)) < 0) {
		return r;
	}
	if (from == to) {
		return fail(q, -EINVAL,
			    "port '%s' cannot be mirrored to itself; expected two ports",
			    port_name(from));
	}
	r = set_mirror(q, to, off ? "none" : "to");
	return r < 0 ? r
		     : set_mirror(q, from,
				  off	      ? "none"
				  : in == out ? "both"
				  : in	      ? "in"
					      : "out");
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
	struct json_object *o;

	if (!json_object_object_get_ex(q->message->body, "config", &o)) {
		return fail(q, -EINVAL, "the request has no \"config\"");
	}
	if (!switch_config_parse(o, &config, q->error, sizeof(q->error))) {
		return -EINVAL;
	}
	if (sw_find(q->daemon, config.name) != NULL) {
		return fail(
			q, -EEXIST,
			"there is a switch '%s' already; choose another name, or remove it with "
			"`virid switch remove`",
			config.name);
	}
	if (q->daemon->switch_count > SWITCHES_MAX) {
		return fail(q, -ENOSPC, "there are %u switches already", q->daemon->switch_count);
	}
	if (q->message->fd_count != config.interface_count) {
		return fail(q, -EINVAL, "switch '%s': %u descriptors for %u interfaces",
			    config.name, q->message->fd_count, config.interface_count);
	}
	for (unsigned i = 0; i < config.interface_count; i++) {
		const struct sw *owner = interface_owner(q->daemon, config.interfaces[i]);

		if (owner != NULL) {
			return fail(
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
	int r = get_switch(q, &s);

	if (r < 0) {
		return r;
	}
	if (strcmp(s->config.name, SWITCH_DEFAULT) == 0) {
		return fail(q, -EPERM, "the switch '%s' is always there", SWITCH_DEFAULT);
	}
	if (s->vm_count > 0) {
		const struct port *vm = s->ports;

		while (!port_is_cable(vm)) {
			vm = vm->next;
		}
		return fail(q, -EBUSY,
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
	struct json_object *list = json_object_new_array();

	for (struct sw *s = q->daemon->switches; s != NULL; s = s->next) {
		json_object_array_add(list, report_switch(s, false));
	}
	for (const struct absent *a = q->daemon->absent; a != NULL; a = a->next) {
		struct json_object *o = switch_config_json(&a->config);

		json_object_object_add(o, "trouble", json_object_new_string(a->why));
		json_object_array_add(list, o);
	}
	json_object_object_add(q->answer, "switches", list);
	return 0;
}

static int do_show(struct request *q)
{
	struct sw *s = NULL;
	int r = get_switch(q, &s);

	if (r == 0) {
		json_object_object_add(q->answer, "switch", report_switch(s, true));
	}
	return r;
}

static int do_stats(struct request *q)
{
	struct sw *s = NULL;
	struct port *p = NULL;
	int r = get_switch(q, &s);

	if (r < 0 || (json_object_object_get_ex(q->message->body, "port", NULL) &&
		      (r = get_port(q, s, "port", &p)) < 0)) {
		return r;
	}
	struct json_object *list = json_object_new_array();

	for (struct port *each = s->ports; each != NULL; each = each->next) {
		if (p == NULL || p == each) {
			json_object_array_add(list, report_stats(each));
		}
	}
	json_object_object_add(q->answer, "ports", list);
	return 0;
}

static int do_macs(struct request *q)
{
	struct sw *s = NULL;
	int r = get_switch(q, &s);

	if (r == 0) {
		json_object_object_add(q->answer, "macs", report_macs(s));
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
	{"plug", do_plug, {"switch", "port", "queues"}, true},
	{"port", do_port, {"switch", "port"}, true},
	{"mirror", do_mirror, {"switch", "from", "to", "in", "out", "off"}, false},
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
	const char *name;
	size_t i = 0;

	if (!json_text(q->message->body, "do", &name)) {
		return fail(q, -EINVAL, "the request does not say what to \"do\"");
	}
	while (i < ARRAY_LEN(verbs) && strcmp(verbs[i].name, name) != 0) {
		i++;
	}
	if (i == ARRAY_LEN(verbs)) {
		return fail(q, -EINVAL,
			    "'%.40s' is not known; expected plug, port, mirror, create, remove, "
			    "list, show, stats or macs",
			    name);
	}
	json_object_object_foreach(q->message->body, key, unused)
	{
		(void)unused;
		if (!is_member(i, key)) {
			return fail(q, -EINVAL, "%s: '%.40s' is not known here", name, key);
		}
	}
	if (q->message->fd_count > 0 && verbs[i].fn != do_create) {
		return fail(q, -EINVAL, "%s: takes no descriptors", name);
	}
	return verbs[i].fn(q);
}
