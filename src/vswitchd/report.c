// SPDX-License-Identifier: Apache-2.0
/* Switches and ports as JSON, for people and scripts. */
#include <stdio.h>
#include <string.h>

#include "acl.h"
#include "daemon.h"
#include "host/loop.h"
#include "nat_network.h"
#include "json/json.h"

static void add_options(json_t *o, json_t *options)
{
	const char *key;
	json_t *value;

	json_object_foreach(options, key, value)
	{
		/* What these became stands there already. */
		if (strcmp(key, "mac") != 0 && strcmp(key, "link") != 0) {
			json_add(o, key, json_incref(value));
		}
	}
}

static json_t *report_port(struct port *p)
{
	const struct vswitch_port_config *c = vswitch_port_config(p->core);
	json_t *o = json_object();

	json_add_text(o, "name", c->name);
	json_add_text(o, "kind", p->kind->name);
	json_add_flag(o, "link", p->link);
	if (p->off) {
		json_add_text(o, "trouble", "switched off with link=down");
	} else if (p->trouble != NULL) {
		json_add_text(o, "trouble", p->trouble);
	}
	if (port_is_cable(p)) {
		char mac[18];

		mac_text(c->mac, mac);
		json_add_text(o, "mac", mac);
		json_add_number(o, "queues", cable_queues(p));
	}
	if (p->options != NULL) {
		add_options(o, p->options);
	}
	return o;
}

static void add_address(json_t *o, const char *key, const struct nat_network *n, unsigned last)
{
	char text[16];

	snprintf(text, sizeof(text), "%u.%u.%u.%u", n->v4[0], n->v4[1], n->v4[2], last);
	json_add_text(o, key, text);
}

static void add_network(json_t *o, const struct sw *s)
{
	const struct nat_network n = nat_network_of(s->config.address);

	json_object_del(o, "address"); /* the same under a better name */
	json_add_text(o, "network",
		      s->config.address[0] != '\0' ? s->config.address : NAT_NETWORK_DEFAULT);
	add_address(o, "router", &n, NAT_HOST);
	add_address(o, "dns", &n, NAT_DNS);
}

json_t *report_switch(struct sw *s, bool ports)
{
	json_t *o = switch_config_json(&s->config);

	json_add_number(o, "adapters", s->vm_count);
	if (s->config.type == SWITCH_NAT) {
		add_network(o, s);
	}
	if (ports) {
		json_t *list = json_array();

		for (struct port *p = s->ports; p != NULL; p = p->next) {
			json_append(list, report_port(p));
		}
		json_add_number(o, "mtu", sw_mtu(s));
		json_add(o, "ports", list);
	}
	return o;
}

/* Only what happened. */
static json_t *drops(const uint64_t *counts)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < VSWITCH_DROPS; i++) {
		if (counts[i] != 0) {
			json_add_number(o, vswitch_drop_name((enum vswitch_drop)i), counts[i]);
		}
	}
	return o;
}

static json_t *meters(struct port *p)
{
	const struct vswitch_port_config *c = vswitch_port_config(p->core);
	json_t *list = json_array(), *acls = json_object_get(p->options, "acl");

	for (unsigned i = 0; i < json_array_size(acls); i++) {
		json_t *rule = json_array_get(acls, i);
		uint64_t frames, bytes;

		if (strncmp(json_string_value(rule), "meter", 5) != 0 || i >= c->acl_count) {
			continue;
		}
		json_t *o = json_object();

		vswitch_port_meter(p->core, i, &frames, &bytes);
		json_add(o, "acl", json_incref(rule));
		json_add_number(o, "frames", frames);
		json_add_number(o, "bytes", bytes);
		json_append(list, o);
	}
	return list;
}

json_t *report_stats(struct port *p)
{
	json_t *o = json_object();
	struct vswitch_stats st;

	vswitch_port_stats(p->core, &st);
	json_add_text(o, "name", port_name(p));
	json_add_number(o, "in_frames", st.in_frames);
	json_add_number(o, "in_bytes", st.in_bytes);
	json_add_number(o, "in_broadcast", st.in_broadcast);
	json_add_number(o, "in_multicast", st.in_multicast);
	json_add_number(o, "out_frames", st.out_frames);
	json_add_number(o, "out_bytes", st.out_bytes);
	json_add_number(o, "out_broadcast", st.out_broadcast);
	json_add_number(o, "out_multicast", st.out_multicast);
	json_add(o, "drops_in", drops(st.drops_in));
	json_add(o, "drops_out", drops(st.drops_out));
	json_t *list = meters(p);

	if (json_array_size(list) > 0) {
		json_add(o, "meters", list);
	} else {
		json_decref(list);
	}
	return o;
}

static void add_mac(void *ctx, const struct vswitch_mac *m)
{
	json_t *o = json_object();
	char mac[18];

	mac_text(m->mac, mac);
	json_add_text(o, "mac", mac);
	if (m->vid != VSWITCH_VID_ANY) {
		json_add_number(o, "vlan", m->vid);
	}
	json_add_text(o, "port", vswitch_port_config(m->port)->name);
	json_add_flag(o, "fixed", m->fixed);
	if (!m->fixed) {
		json_add_number(o, "age_s", m->age_ns / 1000000000u);
	}
	json_append(ctx, o);
}

json_t *report_macs(struct sw *s)
{
	json_t *list = json_array();

	vswitch_macs(s->core, add_mac, list, host_now_ns());
	return list;
}
