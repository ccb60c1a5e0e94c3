// SPDX-License-Identifier: Apache-2.0
#include "vswitchd/written.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "json/json.h"

/* 10.0.2.0/24 is the default switch's. */
#define NETWORK_FIRST 3u
#define NETWORKS 256u

bool switches_written_open(struct switches_written *w, bool lock, char *error, size_t size)
{
	w->list = (struct switch_list){0};
	w->lock = -1;
	if (config_path(w->path, sizeof(w->path), error, size) &&
	    (!lock || (w->lock = config_lock(w->path, error, size)) >= 0) &&
	    config_load(w->path, &w->list, error, size)) {
		return true;
	}
	if (w->lock >= 0) {
		close(w->lock);
	}
	return false;
}

void switches_written_close(struct switches_written *w)
{
	config_fini(&w->list);
	if (w->lock >= 0) {
		close(w->lock);
	}
}

bool switches_written_save(struct switches_written *w, char *error, size_t size)
{
	return config_save(w->path, &w->list, error, size);
}

json_t *switches_written_json(const struct switch_list *list)
{
	const struct switch_config first = {.name = SWITCH_DEFAULT, .type = SWITCH_NAT};
	json_t *o = json_object(), *all = json_array();

	json_append(all, switch_config_json(&first));
	for (unsigned i = 0; i < list->count; i++) {
		json_append(all, switch_config_json(&list->switches[i]));
	}
	json_add(o, "switches", all);
	return o;
}

static bool network_is_taken(const struct switch_list *list, const char *network)
{
	for (unsigned i = 0; i < list->count; i++) {
		if (list->switches[i].type == SWITCH_NAT &&
		    strcmp(list->switches[i].address, network) == 0) {
			return true;
		}
	}
	return false;
}

static void choose_network(json_t *o, const struct switch_list *list)
{
	char network[32];

	for (unsigned i = NETWORK_FIRST; i < NETWORKS; i++) {
		snprintf(network, sizeof(network), "10.0.%u.0/24", i);
		if (!network_is_taken(list, network)) {
			json_add_text(o, "address", network);
			return;
		}
	}
}

void switch_config_complete(json_t *o, const struct switch_list *list)
{
	const char *type = "", *name = "";
	char end[256];

	json_text(o, "type", &type);
	json_text(o, "name", &name);
	if (strcmp(type, "nat") == 0 && json_object_get(o, "address") == NULL) {
		choose_network(o, list);
	}
	if (strcmp(type, "internal") == 0 && json_object_get(o, "interfaces") == NULL) {
		json_t *interfaces = json_array();

		snprintf(end, sizeof(end), "virid-%s", name);
		json_append(interfaces, json_new_text(end));
		json_add(o, "interfaces", interfaces);
	}
}
