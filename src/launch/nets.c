// SPDX-License-Identifier: Apache-2.0
#include "launch/nets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "json/json.h"

#define ERROR_BYTES 700u
#define FIXED_DESCRIPTORS 3u

/* Hyper-V's own range, and three bytes of chance. */
static bool make_mac(uint8_t *mac)
{
	static const uint8_t range[3] = {0x00, 0x15, 0x5d};

	memcpy(mac, range, sizeof(range));
	return getrandom(mac + sizeof(range), 3, 0) == 3;
}

/* The address that was asked for, or a new one, which goes into the request. */
static bool settle_mac(struct launch_net *net)
{
	const char *asked;
	char text[18];

	if (json_text(net->adapter, "mac", &asked)) {
		uint8_t *m = net->mac;

		return sscanf(asked, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &m[0], &m[1], &m[2],
			      &m[3], &m[4], &m[5]) == 6;
	}
	if (!make_mac(net->mac)) {
		return false;
	}
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", net->mac[0], net->mac[1],
		 net->mac[2], net->mac[3], net->mac[4], net->mac[5]);
	json_add_text(net->adapter, "mac", text);
	return true;
}

static bool is_none(const struct launch_net *net)
{
	const char *name;

	return json_text(net->adapter, "switch", &name) && strcmp(name, LAUNCH_NETS_NONE) == 0;
}

/* What a port would be like means nothing without one. */
static bool check_none(const struct launch_net *net, struct launch_error *error)
{
	const char *key;
	json_t *unused;

	json_object_foreach(net->adapter, key, unused)
	{
		(void)unused;
		if (strcmp(key, "switch") != 0 && strcmp(key, "mac") != 0) {
			return launch_refuse(error,
					     "%s= is for a port of a switch; expected only mac= "
					     "beside none",
					     key);
		}
	}
	return true;
}

bool launch_nets_add(struct launch_nets *n, const char *arg, struct launch_error *error)
{
	char why[ERROR_BYTES];

	if (n->count == LAUNCH_NETS_MAX) {
		return launch_refuse(error, "more than %u adapters", LAUNCH_NETS_MAX);
	}
	struct launch_net *net = &n->nets[n->count];

	*net = (struct launch_net){.number = (unsigned)n->count};
	net->adapter = vswitch_client_parse(arg, why, sizeof(why));
	if (net->adapter == NULL) {
		return launch_refuse(error, "%s", why);
	}
	n->count++;
	if (is_none(net) && !check_none(net, error)) {
		return false;
	}
	if (!settle_mac(net)) {
		return launch_refuse(error, "the MAC address cannot be made");
	}
	return true;
}

bool launch_nets_plug(struct launch_nets *n, const char *name, unsigned queues,
		      struct launch_error *error)
{
	char why[ERROR_BYTES], port[256];

	for (size_t i = 0; i < n->count; i++) {
		struct launch_net *net = &n->nets[i];

		snprintf(port, sizeof(port), "%.40s/net%u", name, net->number);
		json_add_text(net->adapter, "port", port);
		json_add_number(net->adapter, "queues", queues);
		if (is_none(net)) {
			continue;
		}
		if (vswitch_client_plug(true, net->adapter, &net->cable, why, sizeof(why)) != 0) {
			return launch_refuse(error, "%s", why);
		}
		net->plugged = true;
	}
	return true;
}

void launch_nets_fini(struct launch_nets *n)
{
	for (size_t i = 0; i < n->count; i++) {
		json_decref(n->nets[i].adapter);
		if (n->nets[i].plugged) {
			vswitch_cable_close(&n->nets[i].cable);
		}
	}
	n->count = 0;
}

unsigned launch_nets_cable_fds(const struct vswitch_cable *c, int *ret_fds, unsigned max)
{
	if (FIXED_DESCRIPTORS + c->queues > max) {
		return 0;
	}
	ret_fds[0] = c->connection;
	ret_fds[1] = c->memory;
	ret_fds[2] = c->switch_bell;
	memcpy(ret_fds + FIXED_DESCRIPTORS, c->worker_bells, c->queues * sizeof(int));
	return FIXED_DESCRIPTORS + c->queues;
}

unsigned launch_nets_fds(const struct launch_nets *n, size_t index, int *ret_fds, unsigned max)
{
	return n->nets[index].plugged ? launch_nets_cable_fds(&n->nets[index].cable, ret_fds, max)
				      : 0;
}

bool launch_nets_option(const struct launch_nets *n, size_t index, bool by_index, char **ret_text)
{
	int fds[FIXED_DESCRIPTORS + WIRE_QUEUES_WORKER];
	char numbers[sizeof(fds) / sizeof(fds[0]) * 12];
	size_t used = 0;

	if (index >= n->count) {
		return false;
	}
	const struct launch_net *net = &n->nets[index];
	const uint8_t *m = net->mac;
	unsigned count = launch_nets_fds(n, index, fds, sizeof(fds) / sizeof(fds[0]));

	/* Without a seal (there is no key) it cannot be plugged in again. */
	char *spec = net->plugged ? vswitch_client_seal(net->adapter) : NULL;

	numbers[0] = '\0';
	for (unsigned i = 0; i < count; i++) {
		used += (size_t)snprintf(numbers + used, sizeof(numbers) - used, ":%d",
					 by_index ? (int)i : fds[i]);
	}
	if (asprintf(ret_text, "--net=%u:%02x-%02x-%02x-%02x-%02x-%02x:%u:%u%s:%s", net->number,
		     m[0], m[1], m[2], m[3], m[4], m[5], net->cable.mtu, net->cable.queues, numbers,
		     spec == NULL ? "" : spec) < 0) {
		abort();
	}
	free(spec);
	return true;
}
