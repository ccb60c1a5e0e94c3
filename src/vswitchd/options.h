/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of a port: one table says what `virid run --net` and `virid switch port` take, what the requests "plug" and "port" hold, and what they
 * mean to the switch.
 */
#ifndef VSWITCHD_OPTIONS_H
#define VSWITCHD_OPTIONS_H

#include <jansson.h>

#include "vswitch/vswitch.h"

/* "name=value" or a bare flag into @o. False: @error. */
bool options_take(const char *text, json_t *o, char *error, size_t size);
/* Is @key an option? */
bool options_known(const char *key);
/*
 * What the options of the object @o mean; members that are no options are left alone. *ret keeps its name, role, takes. *ret_acls is to be freed
 * after use of *ret. False: @error; nothing changed.
 */
bool options_config(json_t *o, struct vswitch_port_config *ret, struct vswitch_acl **ret_acls,
		    char *error, size_t size);
/* Addresses that are fixed at a port besides its own. */
#define STATICS_MAX 64u
struct static_mac {
	uint8_t mac[NET_MAC_BYTES];
	uint16_t vid; /* 0: the network without a VLAN */
};
/* Those of the sound options @o; returns how many. @ret has STATICS_MAX. */
unsigned options_statics(json_t *o, struct static_mac *ret);
/* Is the port @o switched on? */
bool options_link(json_t *o);
/* Options of @changes replace those of @o: each by itself, VLANs as a group. */
void options_merge(json_t *o, json_t *changes);

#endif
