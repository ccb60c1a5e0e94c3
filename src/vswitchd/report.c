// SPDX-License-Identifier: Apache-2.0
/* Switches and ports as JSON, for people and scripts. */
#include <stdio.h>
#include <string.h>

#include "acl.h"
#include "daemon.h"
#include "host/loop.h"
#include "nat_network.h"

static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static void add_number(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static void add_options(struct json_object *o, struct json_object *options)
{
	json_object_object_foreach(options, key, value)
	{
		/* What these became stands there already. */
		if (strcmp(key, "mac") != 0 && strcmp(key, "link") != 0) {
			json_object_object_add(o, key, json_object_get(value));
		}
	}
}

static struct json_object *report_port(struct port *p)
{
	const struct vswitch_port_config *c = vswitch_port_config(p->core);
	struct json_object *o = json_object_new_object();

	add_text(o, "name", c->name);
	add_text(o, "kind", p->kind->name);
	json_object_object_add(o, "link", json_object_new_boolean(p->link));
	if (p->off) {
		add_text(o, "trouble", "switched off with link=down");
	} else if (p->trouble != NULL) {
		add_text(o, "trouble", p->trouble);
	}
	if (port_is_cable(p)) {
		char mac[18];

		mac_text(c->mac, mac);
		add_text(o, "mac", mac);
		add_number(o, "queues", cable_queues(p));
	}
	if (p->options != NULL) {
		add_options(o, p->options);
	}
	return o;
}

static void add_address(struct json_object *o, const char *key, const struct nat_network *n,
			unsigned last)
{
	char text[16];

	snprintf(text, sizeof(text), "%u.%u.%u.%u", n->v4[0], n->v4[1], n->v4[2], last);
	add_text(o, key, text);
}

static void add_network(struct json_object *o, const struct sw *s)
{
	const struct nat_network n = nat_network_of(s->config.address);

	json_object_object_del(o, "address"); /* the same under a better name */
	add_text(o, "network",
		 s->config.address[0] != '\0' ? s->config.address : NAT_NETWORK_DEFAULT);
	add_address(o, "router", &n, NAT_HOST);
	add_address(o, "dns", &n, NAT_DNS);
}

struct json_object *report_switch(struct sw *s, bool ports)
{
	struct json_object *o = switch_config_json(&s->config);

	add_number(o, "adapters", s->vm_count);
	if (s->config.type == SWITCH_NAT) {
		add_network(o, s);
	}
	if (ports) {
		struct json_object *list = json_object_new_array();

		for (struct port *p = s->ports; p != NULL; p = p->next) {
			json_object_array_add(list, report_port(p));
		}
		add_number(o, "mtu", sw_mtu(s));
		json_object_object_add(o, "ports", list);
	}
	return o;
}

/* Only what happened. */
static struct json_object *drops(const uint64_t *counts)
{
	struct json_object *o = json_object_new_object();

	for (unsigned i = 0; i < VSWITCH_DROPS; i++) {
		if (counts[i] != 0) {
			add_number(o, vswitch_drop_name((enum vswitch_drop)i), counts[i]);
		}
	}
	return o;
}

static struct json_object *meters(struct port *p)
{
	const struct vswitch_port_config *c = vswitch_port_config(p->core);
	struct json_object *list = json_object_new_array(), *acls = NULL;

	json_object_object_get_ex(p->options, "acl", &acls);
	for (unsigned i = 0; acls != NULL && i < json_object_array_length(acls); i++) {
		struct json_object *rule = json_object_array_get_idx(acls, i);
		uint64_t frames, bytes;

		if (strncmp(json_object_get_string(rule), "meter", 5) != 0 || i >= c->acl_count) {
			continue;
		}
		struct json_object *o = json_object_new_object();

		vswitch_port_meter(p->core, i, &frames, &bytes);
		json_object_object_add(o, "acl", json_object_get(rule));
		add_number(o, "frames", frames);
		add_number(o, "bytes", bytes);
		json_object_array_add(list, o);
	}
	return list;
}

struct json_object *report_stats(struct port *p)
{
	struct json_object *o = json_object_new_object();
	struct vswitch_stats st;

	vswitch_port_stats(p->core, &st);
	add_text(o, "name", port_name(p));
	add_number(o, "in_frames", st.in_frames);
	add_number(o, "in_bytes", st.in_bytes);
	add_number(o, "in_broadcast", st.in_broadcast);
	add_number(o, "in_multicast", st.in_multicast);
	add_number(o, "out_frames", st.out_frames);
	add_number(o, "out_bytes", st.out_bytes);
	add_number(o, "out_broadcast", st.out_broadcast);
	add_number(o, "out_multicast", st.out_multicast);
	json_object_object_add(o, "drops_in", drops(st.drops_in));
	json_object_object_add(o, "drops_out", drops(st.drops_out));
	struct json_object *list = meters(p);

	if (json_object_array_length(list) > 0) {
		json_object_object_add(o, "meters", list);
	} else {
		json_object_put(list);
	}
	return o;
}

static void add_mac(void *ctx, const struct vswitch_mac *m)
{
	struct json_object *o = json_object_new_object();
	char mac[18];

	mac_text(m->mac, mac);
	add_text(o, "mac", mac);
	if (m->vid != VSWITCH_VID_ANY) {
		add_number(o, "vlan", m->vid);
	}
	add_text(o, "port", vswitch_port_config(m->port)->name);
	json_object_object_add(o, "fixed", json_object_new_boolean(m->fixed));
	if (!m->fixed) {
		add_number(o, "age_s", m->age_ns / 1000000000u);
	}
	json_object_array_add(ctx, o);
}

struct json_object *report_macs(struct sw *s)
{
	struct json_object *list = json_object_new_array();

	vswitch_macs(s->core, add_mac, list, host_now_ns());
	return list;
}
