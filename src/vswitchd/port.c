// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "daemon.h"
#include "lib/check.h"

int port_add(struct port *p, const struct vswitch_port_config *config,
	     const struct vswitch_port_ops *ops)
{
	struct sw *s = p->sw;
	struct port **end = &s->ports;

	p->daemon = s->daemon;
	p->vlan = config->vlan;
	p->carrier = true;
	p->link = true;
	int r = vswitch_port_add(s->core, config, ops, p, &p->core); /* may tell of the link */

	if (r < 0) {
		return r;
	}
	while (*end != NULL) {
		end = &(*end)->next;
	}
	*end = p;
	s->port_count++;
	if (config->role == VSWITCH_VM) {
		s->vm_count++;
		s->daemon->vm_count++;
	}
	return 0;
}

void port_activate(struct port *p)
{
	struct daemon *d = p->daemon;

	if (p->active || p->dying) {
		return;
	}
	p->active = true;
	p->idle_since_ns = 0;
	p->active_next = NULL;
	p->active_prev = d->active_end;
	*(d->active_end != NULL ? &d->active_end->active_next : &d->active) = p;
	d->active_end = p;
}

void port_deactivate(struct port *p)
{
	struct daemon *d = p->daemon;

	if (!p->active) {
		return;
	}
	p->active = false;
	*(p->active_prev != NULL ? &p->active_prev->active_next : &d->active) = p->active_next;
	*(p->active_next != NULL ? &p->active_next->active_prev : &d->active_end) = p->active_prev;
}

static void update_link(struct port *p)
{
	bool up = p->carrier && !p->off;

	if (p->link != up) {
		p->link = up;
		p->sw->touched = true;
		if (p->kind->tell_link != NULL) {
			p->kind->tell_link(p);
		}
	}
}

void port_set_carrier(struct port *p, bool up, const char *trouble)
{
	p->trouble = trouble;
	p->carrier = up;
	/* A machine's carrier is the switch's own news, and the machines beside it are still there. */
	if (!port_is_cable(p)) {
		vswitch_port_link(p->core, up && !p->off);
	}
	update_link(p);
}

void port_switch(struct port *p, bool on)
{
	p->off = !on;
	vswitch_port_link(p->core, on && (p->carrier || port_is_cable(p)));
	update_link(p);
}

void port_kill(struct port *p)
{
	if (p->dying) {
		return;
	}
	p->dying = true; /* a round may stand on it: it leaves the lists in daemon_reap */
	p->dying_next = p->daemon->dying;
	p->daemon->dying = p;
}

/* Out of its switch; memory stays until the end of the turn. */
static void remove_port(struct port *p)
{
	struct port **link = &p->sw->ports;
	bool vm = vswitch_port_config(p->core)->role == VSWITCH_VM;

	while (*link != p) {
		CHECK(*link != NULL);
		link = &(*link)->next;
	}
	*link = p->next;
	p->sw->port_count--;
	p->sw->vm_count -= vm;
	if (vm && p->sw->nat != NULL) {
		nat_forget(p->sw->nat, vswitch_port_config(p->core)->mac);
	}
	p->daemon->vm_count -= vm;
	vswitch_port_remove(p->core);
	p->core = NULL;
}

void daemon_reap(struct daemon *d)
{
	while (d->dying != NULL) {
		struct port *p = d->dying;
		struct sw *s = p->sw;

		d->dying = p->dying_next;
		port_deactivate(p);
		remove_port(p);
		if (port_is_cable(p) && cable_connection(p) != NULL) {
			connection_set_port(cable_connection(p), NULL);
			connection_close(cable_connection(p));
		}
		p->dying_next = d->graves;
		d->graves = p;
		if (s->vm_count == 0 && s->nat != NULL) {
			nat_destroy(s->nat);
			s->nat = NULL;
		}
	}
}

const char *port_name(const struct port *p)
{
	return vswitch_port_config(p->core)->name;
}

bool port_is_interface(const struct port *p)
{
	return !port_is_cable(p) && p->sw->config.interface_count > 0;
}

struct port *port_find(struct sw *s, const char *name)
{
	for (struct port *p = s->ports; p != NULL; p = p->next) {
		if (!p->dying && strcmp(port_name(p), name) == 0) {
			return p;
		}
	}
	return NULL;
}

void port_input(struct port *p, const struct net_frame *f, uint64_t now_ns)
{
	p->sw->touched = true;
	vswitch_input(p->core, f, now_ns);
}
