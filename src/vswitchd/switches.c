// SPDX-License-Identifier: Apache-2.0
/* The switches that a process begins with: the default one, and those that are written down. */
#include <unistd.h>

#include "daemon.h"
#include "host/log.h"
#include "message.h"
#include "vswitchd/interface.h"

/* As `virid switch port` left the ports of interfaces. One that cannot be so is switched off: better nothing than a wall that is not there. */
static void set_ports(struct daemon *d, json_t *list)
{
	for (size_t i = 0; list != NULL && i < json_array_size(list); i++) {
		json_t *o = json_array_get(list, i), *options;
		const char *name = "", *port = "";
		char error[600];

		json_text(o, "switch", &name);
		json_text(o, "port", &port);
		options = json_object_get(o, "options");
		struct sw *s = sw_find(d, name);
		struct port *p = s == NULL ? NULL : port_find(s, port);

		if (p != NULL && port_change(p, options, error, sizeof(error)) < 0) {
			log_line("%s; the port is switched off", error);
			port_switch(p, false);
		}
	}
}

bool switches_open(struct daemon *d, const char *config_path, char *error, size_t size)
{
	const struct switch_config nat = {.name = SWITCH_DEFAULT, .type = SWITCH_NAT};
	struct switch_list list;

	if (!config_load(config_path, &list, error, size) ||
	    sw_create(d, &nat, NULL, error, size) < 0) {
		return false;
	}
	for (unsigned i = 0; i < list.count; i++) {
		const struct switch_config *c = &list.switches[i];
		int fds[VSWITCH_UPLINKS_MAX];

		if (!interface_open_all(c, false, fds, error, size)) {
			log_line("%s", error);
			sw_add_absent(d, c, error);
			continue;
		}
		if (sw_create(d, c, fds, error, size) < 0) {
			log_line("%s", error);
			sw_add_absent(d, c, error);
			for (unsigned j = 0; j < c->interface_count; j++) {
				if (fds[j] >= 0) {
					close(fds[j]);
				}
			}
		}
	}
	set_ports(d, list.ports);
	config_fini(&list);
	return true;
}
