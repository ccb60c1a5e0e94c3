// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon.h"
#include "lib/check.h"

#define MTU_DEFAULT 1500u

struct sw *sw_find(struct daemon *d, const char *name)
{
	for (struct sw *s = d->switches; s != NULL; s = s->next) {
		if (strcmp(s->config.name, name) == 0) {
			return s;
		}
	}
	return NULL;
}

bool sw_is_held(const struct sw *s)
{
	return s->config.interface_count > 0;
}

uint32_t sw_mtu(const struct sw *s)
{
	uint32_t mtu = s->config.type == SWITCH_PRIVATE || s->config.type == SWITCH_EXTERNAL
			       ? NET_MTU_MAX
			       : MTU_DEFAULT;

	for (const struct port *p = s->ports; p != NULL; p = p->next) {
		uint32_t own = interface_mtu(p);

		mtu = own != 0 && own < mtu ? own : mtu;
	}
	return mtu;
}

int sw_need_nat(struct sw *s)
{
	return s->config.type == SWITCH_NAT && s->nat == NULL ? nat_create(s, &s->nat) : 0;
}

/* Ports without a connection: interfaces, and what died. */
static void drop_ports(struct sw *s)
{
	for (struct port *p = s->ports; p != NULL; p = p->next) {
		port_kill(p);
	}
	daemon_reap(s->daemon);
	CHECK(s->ports == NULL);
}

static int open_core(struct sw *s)
{
	struct vswitch_config core = {.team = s->config.team,
				      .aging_ns = s->config.aging_seconds * UINT64_C(1000000000),
				      .no_snooping = s->config.no_snooping};

	if (getrandom(&core.seed, sizeof(core.seed), 0) != sizeof(core.seed)) {
		return -EIO;
	}
	return vswitch_create(&core, &s->core);
}

int sw_create(struct daemon *d, const struct switch_config *config, int *fds, char *error,
	      size_t size)
{
	struct sw *s = calloc(1, sizeof(*s));
	int r = s == NULL ? -ENOMEM : 0;

	if (r == 0) {
		s->config = *config;
		s->daemon = d;
		r = open_core(s);
	}
	if (r < 0) {
		free(s);
		snprintf(error, size, "switch '%s': %s", config->name, strerror(-r));
		return r;
	}
	struct sw **end = &d->switches;

	while (*end != NULL) {
		end = &(*end)->next;
	}
	*end = s;
	d->switch_count++;
	for (unsigned i = 0; i < config->interface_count; i++) {
		r = config->type == SWITCH_INTERNAL
			    ? tap_create(s, config->interfaces[i], fds[i], error, size)
			    : packet_create(s, config->interfaces[i], fds[i], error, size);
		if (r < 0) {
			sw_destroy(s);
			return r;
		}
		fds[i] = -1;
	}
	return 0;
}

void sw_destroy(struct sw *s)
{
	struct daemon *d = s->daemon;
	struct sw **link = &d->switches;

	drop_ports(s);
	CHECK(s->nat == NULL);
	while (*link != s) {
		link = &(*link)->next;
	}
	*link = s->next;
	d->switch_count--;
	vswitch_destroy(s->core);
	free(s);
}

void sw_add_absent(struct daemon *d, const struct switch_config *config, const char *why)
{
	struct absent *a = calloc(1, sizeof(*a));

	if (a != NULL) {
		a->config = *config;
		snprintf(a->why, sizeof(a->why), "%s", why);
		a->next = d->absent;
		d->absent = a;
	}
}

bool sw_drop_absent(struct daemon *d, const char *name)
{
	for (struct absent **link = &d->absent; *link != NULL; link = &(*link)->next) {
		struct absent *a = *link;

		if (strcmp(a->config.name, name) == 0) {
			*link = a->next;
			free(a);
			return true;
		}
	}
	return false;
}
