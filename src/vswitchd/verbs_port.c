// SPDX-License-Identifier: Apache-2.0
/* What can be asked of ports: plugging in, other options, mirrors. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acl.h"
#include "daemon.h"
#include "lib/text.h"
#include "message.h"
#include "options.h"
#include "verbs.h"
#include "vswitch/wire.h"

/* ---- Adapters ---- */

static json_t *pick_options(json_t *from)
{
	json_t *o = json_object();

	const char *key;
	json_t *value;

	json_object_foreach(from, key, value)
	{
		if (options_known(key)) {
			json_add(o, key, json_incref(value));
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
		return verbs_fail(q, r, "switch '%s' has a port '%s' already; choose another name",
				  s->config.name, config->name);
	}
	for (const struct port *p = s->ports; r == -EADDRINUSE && p != NULL; p = p->next) {
		if (memcmp(vswitch_port_config(p->core)->mac, config->mac, NET_MAC_BYTES) == 0) {
			return verbs_fail(
				q, r,
				"switch '%s': the address %s is that of port '%s'; expected one "
				"that nobody has: give each adapter its own mac=",
				s->config.name, mac, port_name(p));
		}
	}
	if (r == -EADDRINUSE) {
		return verbs_fail(
			q, r,
			"switch '%s': VLAN %u is a secondary one of another primary VLAN, or "
			"primary and secondary at once; expected each in one role",
			s->config.name, config->vlan.secondary);
	}
	if (r == -ENOSPC) {
		return verbs_fail(q, r, "switch '%s' is full: it has %u ports", s->config.name,
				  s->port_count);
	}
	return verbs_fail(q, r, "switch '%s': port '%s': %s", s->config.name, config->name,
			  strerror(-r));
}

static int get_adapter(struct request *q, struct vswitch_port_config *config, uint64_t *ret_queues)
{
	const char *name;

	if (!json_text(q->message->body, "port", &name) || name[0] == '\0' ||
	    !text_copy(config->name, sizeof(config->name), name)) {
		return verbs_fail(q, -EINVAL,
				  "the adapter's port has no name of 1 to %u characters",
				  VSWITCH_NAME_BYTES - 1);
	}
	*ret_queues = 1;
	if (json_object_get(q->message->body, "queues") != NULL &&
	    (!json_number(q->message->body, "queues", ret_queues) || *ret_queues < 1 ||
	     *ret_queues > WIRE_QUEUES_MAX)) {
		return verbs_fail(q, -EINVAL, "port '%s': expected 1 to %u queues", name,
				  WIRE_QUEUES_MAX);
	}
	if (json_object_get(q->message->body, "mac") == NULL) {
		return verbs_fail(q, -EINVAL, "port '%s': no address; expected \"mac\"", name);
	}
	return 0;
}

static void close_descriptors(const int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		close(fds[i]);
	}
}

int verbs_plug(struct request *q)
{
	struct vswitch_port_config config = {.role = VSWITCH_VM, .takes = NET_TAKES_ALL};
	struct vswitch_acl *acls = NULL;
	struct port *p;
	struct sw *s = NULL;
	uint64_t queues;
	int r = verbs_switch(q, &s);

	if (r < 0 || (r = get_adapter(q, &config, &queues)) < 0) {
		return r;
	}
	json_t *options = pick_options(q->message->body);

	if (!options_config(options, &config, &acls, q->error, sizeof(q->error))) {
		json_decref(options);
		return -EINVAL;
	}
	drop_stale(s, config.name, config.mac);
	r = sw_need_nat(s);
	if (r == 0) {
		r = cable_create(s, q->connection, &config, (unsigned)queues, &p, q->fds);
	}
	free(acls);
	if (r < 0) {
		json_decref(options);
		return explain_plug(q, s, &config, r);
	}
	r = port_begin(p, options, q->error, sizeof(q->error));
	if (r < 0) {
		close_descriptors(q->fds, 2 + (unsigned)queues);
		port_kill(p);
		return r;
	}
	connection_set_port(q->connection, p);
	q->fd_count = 2 + (unsigned)queues;
	json_add_number(q->answer, "queues", queues);
	json_add_number(q->answer, "mtu", config.mtu != 0 ? config.mtu : sw_mtu(s));
	json_add_number(q->answer, "takes", NET_TAKES_ALL);
	return 0;
}

static int change(struct request *q, struct port *p, json_t *changes)
{
	int r = port_change(p, changes, q->error, sizeof(q->error));

	if (r == 0) {
		port_tell_owner(p);
	}
	return r;
}

int verbs_change(struct request *q)
{
	struct port *p = NULL;
	struct sw *s = NULL;
	int r = verbs_switch(q, &s);

	if (r < 0 || (r = verbs_port(q, s, "port", &p)) < 0) {
		return r;
	}
	if (!port_is_cable(p) && json_object_get(q->message->body, "mac") != NULL) {
		return verbs_fail(q, -EINVAL, "mac= is for a machine's adapter; port '%s' is none",
				  port_name(p));
	}
	r = change(q, p, q->message->body);
	if (r == 0 && port_is_interface(p)) {
		/* Who asked writes them down: the interface is there again with the next process. */
		json_add(q->answer, "options", json_incref(p->options));
	}
	return r;
}

/* ---- Mirrors ---- */

static int set_mirror(struct request *q, struct port *p, const char *what)
{
	json_t *o = json_object();

	json_add_text(o, "mirror", what);
	int r = change(q, p, o);

	json_decref(o);
	return r;
}

int verbs_mirror(struct request *q)
{
	json_t *body = q->message->body;
	bool in = json_flag(body, "in"), out = json_flag(body, "out"), off = json_flag(body, "off");
	struct port *from = NULL, *to = NULL;
	struct sw *s = NULL;
	int r = verbs_switch(q, &s);

	if (r < 0 || (r = verbs_port(q, s, "from", &from)) < 0 ||
	    (r = verbs_port(q, s, "to", &to)) < 0) {
		return r;
	}
	if (from == to) {
		return verbs_fail(q, -EINVAL,
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
