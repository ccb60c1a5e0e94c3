// SPDX-License-Identifier: Apache-2.0
/* OIDs about addresses: the adapter's own, and multicast. */
#include "adapter.h"

#include <string.h>

#include "lib/check.h"

/* ---- Its own ---- */

uint32_t net_query_permanent_mac(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
				 uint32_t bytes, struct net_out *out)
{
	net_out_bytes(out, n->config.mac, NET_MAC_BYTES);
	return RNDIS_STATUS_SUCCESS;
}

uint32_t net_query_mac(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
		       uint32_t bytes, struct net_out *out)
{
	net_out_bytes(out, n->settings.mac, NET_MAC_BYTES);
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t take_mac(struct vsp_net *n, const uint8_t *mac)
{
	static const uint8_t none[NET_MAC_BYTES];
	const struct vsp_net_config *c = &n->config;

	if (mac[0] & 1 || memcmp(mac, none, sizeof(none)) == 0) {
		return RNDIS_STATUS_INVALID_DATA;
	}
	if (c->port->set_mac == NULL || !c->port->set_mac(c->port_ctx, mac)) {
		return RNDIS_STATUS_NOT_ACCEPTED;
	}
	memcpy(net_settings_change(n)->mac, mac, NET_MAC_BYTES);
	net_settings_changed(n);
	return RNDIS_STATUS_SUCCESS;
}

uint32_t net_set_mac(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
		     uint32_t bytes)
{
	return take_mac(n, in);
}

/* UTF-16 of @bytes is the same as @text, in any case. */
static bool text_is(const uint8_t *utf16, uint32_t bytes, const char *text)
{
	if (bytes != 2 * strlen(text)) {
		return false;
	}
	for (uint32_t i = 0; i < bytes / 2; i++) {
		if ((load_le16(utf16 + 2 * i) | 0x20) != (text[i] | 0x20)) {
			return false;
		}
	}
	return true;
}

static int digit(uint16_t c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Twelve hexadecimal digits, perhaps with hyphens or colons between them. */
static bool parse_mac(const uint8_t *utf16, uint32_t bytes, uint8_t *mac)
{
	unsigned digits = 0;

	for (uint32_t i = 0; i + 1 < bytes; i += 2) {
		uint16_t c = load_le16(utf16 + i);
		int v = digit(c);

		if (c == 0) {
			break;
		}
		if ((c == '-' || c == ':') && digits % 2 == 0 && digits != 0) {
			continue;
		}
		if (v < 0 || digits == 2 * NET_MAC_BYTES) {
			return false;
		}
		mac[digits / 2] = (uint8_t)(digits % 2 == 0 ? v << 4 : mac[digits / 2] | v);
		digits++;
	}
	return digits == 2 * NET_MAC_BYTES;
}

/* Parameters that we do not know change nothing: that is no reason for a driver to give up. */
uint32_t net_set_config_parameter(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
				  uint32_t bytes)
{
	struct rndis_config_parameter p;
	uint8_t mac[NET_MAC_BYTES];

	memcpy(&p, in, sizeof(p));
	if (!range_within(p.name_offset, p.name_bytes, bytes) ||
	    !range_within(p.value_offset, p.value_bytes, bytes)) {
		return RNDIS_STATUS_INVALID_DATA;
	}
	if (!text_is(in + p.name_offset, p.name_bytes, "NetworkAddress")) {
		return RNDIS_STATUS_SUCCESS;
	}
	if (p.type != RNDIS_CONFIG_STRING || !parse_mac(in + p.value_offset, p.value_bytes, mac)) {
		return RNDIS_STATUS_INVALID_DATA;
	}
	return take_mac(n, mac);
}

/* ---- Multicast ---- */

uint32_t net_query_multicast(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
			     uint32_t bytes, struct net_out *out)
{
	net_out_bytes(out, n->settings.multicast, n->settings.multicasts * NET_MAC_BYTES);
	return RNDIS_STATUS_SUCCESS;
}

static bool all_multicast(const uint8_t *list, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (!(list[i * NET_MAC_BYTES] & 1)) {
			return false;
		}
	}
	return true;
}

uint32_t net_set_multicast(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
			   uint32_t bytes)
{
	uint32_t count = bytes / NET_MAC_BYTES;
	struct net_settings *s;

	if (bytes % NET_MAC_BYTES != 0) {
		return RNDIS_STATUS_INVALID_LENGTH;
	}
	if (count > NET_MULTICAST_MAX) {
		return RNDIS_STATUS_MULTICAST_FULL;
	}
	if (!all_multicast(in, count)) {
		return RNDIS_STATUS_INVALID_DATA;
	}
	s = net_settings_change(n);
	memcpy(s->multicast, in, bytes);
	s->multicasts = count;
	net_settings_changed(n);
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t find_multicast(const struct net_settings *s, const uint8_t *mac)
{
	uint32_t i = 0;

	while (i < s->multicasts && memcmp(s->multicast[i], mac, NET_MAC_BYTES) != 0) {
		i++;
	}
	return i;
}

uint32_t net_add_multicast(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
			   uint32_t bytes)
{
	struct net_settings *s = &n->settings;

	if (!all_multicast(in, 1)) {
		return RNDIS_STATUS_INVALID_DATA;
	}
	if (find_multicast(s, in) < s->multicasts) {
		return RNDIS_STATUS_MULTICAST_EXISTS;
	}
	if (s->multicasts == NET_MULTICAST_MAX) {
		return RNDIS_STATUS_MULTICAST_FULL;
	}
	s = net_settings_change(n);
	memcpy(s->multicast[s->multicasts++], in, NET_MAC_BYTES);
	net_settings_changed(n);
	return RNDIS_STATUS_SUCCESS;
}

uint32_t net_delete_multicast(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
			      uint32_t bytes)
{
	struct net_settings *s = &n->settings;
	uint32_t at = find_multicast(s, in);

	if (at == s->multicasts) {
		return RNDIS_STATUS_INVALID_DATA;
	}
	s = net_settings_change(n);
	s->multicasts--;
	memmove(s->multicast[at], s->multicast[at + 1], (s->multicasts - at) * NET_MAC_BYTES);
	net_settings_changed(n);
	return RNDIS_STATUS_SUCCESS;
}
