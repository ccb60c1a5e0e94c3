// SPDX-License-Identifier: Apache-2.0
/* `ip` and `set-ip`: addresses of a network adapter, as the guest has them and as it shall have them. */
#include <stdio.h>
#include <string.h>

#include "control_connection.h"
#include "control_ic.h"
#include "ic.h"
#include "lib/bits.h"
#include "net.h"

/* The first option is the adapter's number; NULL: there is no such adapter, and that is the answer. */
static const uint8_t *take_adapter(struct connection *c, const struct control_request *q,
				   unsigned *ret_number)
{
	const char *text = control_option(q, NULL);
	const uint8_t *mac = NULL;
	int end = 0;

	if (text == NULL || sscanf(text, "%2u%n", ret_number, &end) != 1 || text[end] != '\0') {
		control_refuse(c, "the request is malformed");
		return NULL;
	}
	mac = c->worker->net != NULL ? net_mac(c->worker->net, *ret_number) : NULL;
	if (mac == NULL) {
		control_refuse(c, "the machine has no such network adapter");
	}
	return mac;
}

static bool asked(struct connection *c, int error)
{
	const char *why = ic_why(VSP_IC_KVP, error);

	c->busy = why == NULL;
	return why == NULL || control_refuse(c, why);
}

/* ---- Asking ---- */

static void addresses_read(void *ctx, enum vsp_ic_result result, uint32_t status)
{
	struct connection *c = ctx;

	if (result == VSP_IC_DONE) {
		const struct vsp_ic_ip *ip = vsp_ic_kvp_ip(ic_components(c->worker));

		control_say(c, "dhcp=%d", ip->dhcp);
		control_ic_say(c, "addresses", ip->addresses);
		control_ic_say(c, "subnets", ip->subnets);
		control_ic_say(c, "gateways", ip->gateways);
		control_ic_say(c, "dns", ip->dns);
	}
	control_ic_answered(c, result, status);
}

/* NUMBER */
static bool get(struct connection *c, const struct control_request *q)
{
	const struct vsp_ic_done done = {.fn = addresses_read, .ctx = c};
	unsigned number;

	if (!control_running(c)) {
		return false;
	}
	const uint8_t *mac = take_adapter(c, q, &number);

	return mac != NULL && asked(c, vsp_ic_kvp_get_ip(ic_components(c->worker), mac, done));
}

/* ---- Setting ---- */

static void set_done(void *ctx, enum vsp_ic_result result, uint32_t status)
{
	control_ic_answered(ctx, result, status);
}

static bool take_text(const char *option, const char *name, char *ret, size_t size)
{
	size_t n = strlen(name);

	return strncmp(option, name, n) == 0 && snprintf(ret, size, "%s", option + n) < (int)size;
}

/* False: it is none of ours, or too long. */
static bool take_option(const char *o, struct vsp_ic_ip *ip)
{
	if (strcmp(o, "--dhcp") == 0) {
		ip->dhcp = true;
		return true;
	}
	return take_text(o, "--addresses=", ip->addresses, sizeof(ip->addresses)) ||
	       take_text(o, "--subnets=", ip->subnets, sizeof(ip->subnets)) ||
	       take_text(o, "--gateways=", ip->gateways, sizeof(ip->gateways)) ||
	       take_text(o, "--dns=", ip->dns, sizeof(ip->dns));
}

/* NUMBER, then --dhcp, or lists with ';' between their members */
static bool set(struct connection *c, const struct control_request *q)
{
	const struct vsp_ic_done done = {.fn = set_done, .ctx = c};
	struct vsp_ic_ip ip = {0};
	struct guid instance;
	unsigned number;

	if (!control_running(c) || take_adapter(c, q, &number) == NULL) {
		return false;
	}
	for (char *o = control_option(q, NULL); (o = control_option(q, o)) != NULL;) {
		if (!take_option(o, &ip)) {
			return control_refuse(c, "the request is malformed");
		}
	}
	if (!ip.dhcp && ip.addresses[0] == '\0') {
		return control_refuse(c, "the request is malformed: it lacks addresses, or --dhcp");
	}
	ip.ipv6 = strchr(ip.addresses, ':') != NULL;
	ip.ipv4 = ip.dhcp || strchr(ip.addresses, '.') != NULL;
	instance = net_instance(number);
	return asked(c, vsp_ic_kvp_set_ip(ic_components(c->worker), &instance, &ip, done));
}

const struct control_word control_ip_words[] = {
	{"ip", 0, get},
	{"set-ip", 0, set},
	{NULL},
};
