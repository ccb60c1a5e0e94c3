/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Switches as they are written down: a JSON file {"switches": [{"name", "type", "interfaces", "team", "address", "aging", "snooping"}, ...],
 * "ports": [{"switch", "port", "options"}, ...]}, where ports are those of interfaces whose options were changed. The switch "default" is always
 * there and never in the file. Who changes switches writes the file (`virid switch`); the switch process only reads it, at its start.
 */
#ifndef VSWITCHD_CONFIG_H
#define VSWITCHD_CONFIG_H

#include <jansson.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "vswitch/vswitch.h"

#define SWITCHES_MAX 256u
#define SWITCH_DEFAULT "default"

enum switch_type { SWITCH_NAT, SWITCH_PRIVATE, SWITCH_INTERNAL, SWITCH_EXTERNAL };

struct switch_config {
	char name[VSWITCH_NAME_BYTES];
	enum switch_type type;
	enum vswitch_team team;				/* external */
	uint32_t aging_seconds;				/* of learned addresses; 0: 300 */
	bool no_snooping;				/* multicast goes everywhere */
	char interfaces[VSWITCH_UPLINKS_MAX][IFNAMSIZ]; /* internal: its TAP; external: uplinks */
	unsigned interface_count;
	/* Internal: of the host, with its prefix; empty: none. NAT: of the network, "10.0.3.0/24"; empty: the default switch's. */
	char address[64];
};

struct switch_list {
	struct switch_config *switches; /* without the default switch */
	unsigned count;
	json_t *ports; /* an array of objects; NULL: none */
};

const char *switch_type_text(enum switch_type type);
/* One switch from foreign JSON, checked. False: @error says what is wrong, and what was expected. */
bool switch_config_parse(json_t *o, struct switch_config *ret, char *error, size_t size);
json_t *switch_config_json(const struct switch_config *c);
/* Is @c sound by itself: name, interfaces, address? As parse does. */
bool switch_config_check(const struct switch_config *c, char *error, size_t size);
/* "10.0.0.1/24" or "fd00::1/64". *ret_family: 4 or 6. */
bool switch_address_parse(const char *text, int *ret_family, uint8_t *ret_address,
			  unsigned *ret_prefix);

/*
 * The file: $VIRID_VSWITCH_CONFIG; else /var/lib/virid/switches.json for root; else virid/switches.json in $XDG_CONFIG_HOME or ~/.config. False:
 * @error.
 */
bool config_path(char *ret, size_t ret_size, char *error, size_t size);
/* Without a file the list is empty. */
bool config_load(const char *path, struct switch_list *ret, char *error, size_t size);
void config_fini(struct switch_list *list);
struct switch_config *config_find(const struct switch_list *list, const char *name);
bool config_add(struct switch_list *list, const struct switch_config *c);
/* Options of port @port, an interface of switch @name: those to keep from now on, all of them; NULL: none. Takes @options over. */
void config_set_port(struct switch_list *list, const char *name, const char *port, json_t *options);
void config_drop(struct switch_list *list, struct switch_config *c);
/* Atomic and durable; makes the folder. */
bool config_save(const char *path, const struct switch_list *list, char *error, size_t size);
/* Others that want to change it wait. A descriptor to close, or -1. */
int config_lock(const char *path, char *error, size_t size);

#endif
