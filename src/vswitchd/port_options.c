// SPDX-License-Identifier: Apache-2.0
/* What a port's options do to it, at the beginning and when they change. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acl.h"
#include "daemon.h"
#include "message.h"
#include "options.h"
#include "seal.h"

/* ---- Static addresses ---- */

static void drop_statics(struct port *p, json_t *options)
{
	struct static_mac list[STATICS_MAX];
	unsigned count = options == NULL ? 0 : options_statics(options, list);

	for (unsigned i = 0; i < count; i++) {
		vswitch_port_mac_remove(p->core, list[i].mac, list[i].vid);
	}
}

/* All of them, or none. */
static int add_statics(struct port *p, json_t *options, char *error, size_t size)
{
	struct static_mac list[STATICS_MAX];
	unsigned count = options == NULL ? 0 : options_statics(options, list), done = 0;
	char text[18];
	int r = 0;

	while (r == 0 && done < count) {
		r = vswitch_port_mac_add(p->core, list[done].mac, list[done].vid);
		done += r == 0;
	}
	if (r == 0) {
		return 0;
	}
	mac_text(list[done].mac, text);
	while (done-- > 0) {
		vswitch_port_mac_remove(p->core, list[done].mac, list[done].vid);
	}
	refuse(error, size, "switch '%s': port '%s': static=%s: %s", p->sw->config.name,
	       port_name(p), text,
	       r == -EADDRINUSE ? "the address is another port's; expected one that nobody has"
	       : r == -ENOSPC	? "the table of addresses is full"
				: strerror(-r));
	return r;
}

int port_begin(struct port *p, json_t *options, char *error, size_t size)
{
	int r = add_statics(p, options, error, size);

	p->options = options;
	port_switch(p, options_link(options));
	return r;
}

/* ---- Changes ---- */

static int merge(const struct port *p, json_t *changes, json_t **ret)
{
	*ret = p->options == NULL ? json_object() : json_deep_copy(p->options);
	if (*ret == NULL) {
		return -ENOMEM;
	}
	options_merge(*ret, changes);
	return 0;
}

static int configure(struct port *p, json_t *options, char *error, size_t size)
{
	const struct vswitch_port_config *before = vswitch_port_config(p->core);
	struct vswitch_port_config config = {.role = before->role, .takes = before->takes};
	struct vswitch_acl *acls = NULL;

	memcpy(config.name, before->name, sizeof(config.name));
	if (!options_config(options, &config, &acls, error, size)) {
		return -EINVAL;
	}
	if (!port_is_cable(p)) {
		/* What follows from the interface; and without a word about VLANs, those that it began with. */
		config.mtu = before->mtu;
		memcpy(config.mac, before->mac, sizeof(config.mac));
		if (config.vlan.mode == VSWITCH_VLAN_ACCESS && config.vlan.vid == 0) {
			config.vlan = p->vlan;
		}
	}
	int r = vswitch_port_configure(p->core, &config);

	free(acls);
	if (r < 0) {
		refuse(error, size, "switch '%s': port '%s': %s", p->sw->config.name, config.name,
		       r == -EADDRINUSE ? "the address or the secondary VLAN is another port's"
					: strerror(-r));
	}
	return r;
}

int port_change(struct port *p, json_t *changes, char *error, size_t size)
{
	char unused[200];
	json_t *merged;
	int r = merge(p, changes, &merged);

	if (r < 0) {
		refuse(error, size, "out of memory");
		return r;
	}
	drop_statics(p, p->options);
	r = configure(p, merged, error, size);
	if (r == 0) {
		r = add_statics(p, merged, error, size);
		if (r < 0 && p->options != NULL) {
			configure(p, p->options, unused, sizeof(unused));
		}
	}
	if (r < 0) {
		add_statics(p, p->options, unused, sizeof(unused));
		json_decref(merged);
		return r;
	}
	json_decref(p->options);
	p->options = merged;
	port_switch(p, options_link(merged));
	p->wait_ns = 0;
	return 0;
}

void port_tell_owner(struct port *p)
{
	json_t *o = port_is_cable(p) && p->daemon->has_seal_key ? json_deep_copy(p->options) : NULL;

	if (o == NULL) {
		return;
	}
	json_add_text(o, "switch", p->sw->config.name);
	json_add_text(o, "port", port_name(p));
	json_add_number(o, "queues", cable_queues(p));
	char *text = seal_text(p->daemon->seal_key, o);

	json_decref(o);
	if (text != NULL) {
		connection_tell(cable_connection(p), text);
		free(text);
	}
}
