// SPDX-License-Identifier: Apache-2.0
/* What a configuration has to be. What makes and changes one is in config_change.c. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "adapter_check.h"
#include "adapter_text.h"
#include "cpu_settings.h"
#include "lib/guid.h"

#define MIB ((json_int_t)1 << 20)
#define TIB ((json_int_t)1 << 40)
#define NAME_BYTES 100
#define PATH_TEXT_BYTES 4095
#define MODEL_BYTES 1023

/* ---- Texts ---- */

static bool is_id(const char *text)
{
	struct guid g;

	return strlen(text) == GUID_TEXT_BYTES - 1 && guid_parse(text, &g);
}

/* What is asked for by name must not look like an id. */
static bool is_name(const char *text)
{
	size_t n = strlen(text);
	struct guid g;

	return n > 0 && text[0] != ' ' && text[n - 1] != ' ' && !guid_parse(text, &g);
}

static bool is_mac(const char *text)
{
	static const char digits[] = "0123456789abcdefABCDEF";

	for (unsigned i = 0; i < 17; i++) {
		if (text[i] == '\0' ||
		    (i % 3 == 2 ? text[i] != ':' : strchr(digits, text[i]) == NULL)) {
			return false;
		}
	}
	return text[17] == '\0';
}

static bool is_absolute(const char *text)
{
	return text[0] == '/' || text[0] == '\0';
}

/* In the VM's own folder, and not out of it again; or absolute. */
static bool is_path(const char *text)
{
	if (text[0] == '/') {
		return true;
	}
	return strcmp(text, "..") != 0 && strncmp(text, "../", 3) != 0 &&
	       strstr(text, "/../") == NULL &&
	       (strlen(text) < 3 || strcmp(text + strlen(text) - 3, "/..") != 0);
}

static bool is_disk_path(const char *text)
{
	return text[0] != '\0' && is_path(text);
}

/* ---- The table ---- */

static const char *const engines[] = {"auto", "emu", "kvm", NULL};
static const char *const controllers[] = {"scsi", "ide", NULL};
static const char *const dvd_controllers[] = {"scsi", NULL};
static const char *const start_actions[] = {"none", "if-was-running", "always", NULL};
static const char *const stop_actions[] = {"save", "shutdown", "turn-off", NULL};
static const char *const recoveries[] = {"none", "restart", NULL};
static const char *const checkpoint_types[] = {"production", "production-only", "standard",
					       "disabled", NULL};

static const struct schema boot[] = {
	{"kernel", SCHEMA_TEXT, "a kernel's absolute path, or \"\"", .max = PATH_TEXT_BYTES,
	 .check = is_absolute},
	{"initrd", SCHEMA_TEXT, "an initial RAM disk's absolute path, or \"\"",
	 .max = PATH_TEXT_BYTES, .check = is_absolute},
	{"cmdline", SCHEMA_TEXT, "the kernel's command line, at most 2047 bytes", .max = 2047},
	{0},
};

static const struct schema processors[] = {
	{"count", SCHEMA_WHOLE, "a number of processors from 1 to 2048", .min = 1,
	 .max = HOSTCPU_PROCESSORS_MAX},
	{"model", SCHEMA_TEXT, "a processor model", .max = MODEL_BYTES, .optional = true},
	{"weight", SCHEMA_WHOLE, "a weight from 1 to 10000", .min = 1, .max = HOSTCPU_WEIGHT_MAX,
	 .optional = true},
	{"reserve_percent", SCHEMA_WHOLE, "a percentage from 0 to 100", .max = 100,
	 .optional = true},
	{"limit_percent", SCHEMA_WHOLE, "a percentage from 1 to 100", .min = 1, .max = 100,
	 .optional = true},
	{"affinity", SCHEMA_TEXT, "the host's processors, such as \"0-3,8\", or \"\"",
	 .max = CPU_LIST_TEXT_MAX, .check = cpu_list_is_valid, .optional = true},
	{"numa_nodes", SCHEMA_TEXT, "the host's NUMA nodes, such as \"0\", or \"\"",
	 .max = CPU_LIST_TEXT_MAX, .check = cpu_list_is_valid, .optional = true},
	{0},
};

static const struct schema memory[] = {
	{"startup_bytes", SCHEMA_WHOLE,
	 "bytes from 4194304 (4 MiB) to 12 TiB, a multiple of 1048576 (1 MiB)", .min = 4 * MIB,
	 .max = 12 * TIB, .step = MIB},
	{0},
};

static const struct schema disk[] = {
	{"controller", SCHEMA_WORD, "\"scsi\" or \"ide\"", .words = controllers},
	{"number", SCHEMA_WHOLE, "a controller from 0 to 3", .max = 3},
	{"location", SCHEMA_WHOLE, "a location from 0 to 63", .max = 63},
	{"path", SCHEMA_TEXT, "a file's path: absolute, or in the VM's folder",
	 .max = PATH_TEXT_BYTES, .check = is_disk_path},
	{"read_only", SCHEMA_FLAG, "true or false"},
	{"iops", SCHEMA_WHOLE, "requests a second, 0 for no limit", .max = 1000000000},
	{"raw", SCHEMA_FLAG, "true or false", .optional = true},
	{"temporary", SCHEMA_FLAG, "true or false", .optional = true},
	{0},
};

static const struct schema dvd[] = {
	{"controller", SCHEMA_WORD, "\"scsi\"", .words = dvd_controllers},
	{"number", SCHEMA_WHOLE, "a controller from 0 to 3", .max = 3},
	{"location", SCHEMA_WHOLE, "a location from 0 to 63", .max = 63},
	{"path", SCHEMA_TEXT, "an image's path, or \"\" for an empty drive", .max = PATH_TEXT_BYTES,
	 .check = is_path},
	{0},
};

static const struct schema adapter[] = {
	{"number", SCHEMA_WHOLE, "a number from 0 to 63", .max = CONFIG_ADAPTERS_MAX - 1},
	{"name", SCHEMA_TEXT, "a name of at most 100 bytes", .max = NAME_BYTES},
	{"switch", SCHEMA_TEXT, "a switch's name, or \"\" for none", .max = NAME_BYTES},
	{"mac", SCHEMA_TEXT, "an address such as 00:15:5d:00:00:01", .max = 17, .check = is_mac},
	{0},
};

static const struct schema automatic_start[] = {
	{"action", SCHEMA_WORD, "\"none\", \"if-was-running\" or \"always\"",
	 .words = start_actions},
	{"delay_s", SCHEMA_WHOLE, "seconds from 0 to 86400", .max = 86400},
	{"order", SCHEMA_WHOLE, "a number from 0 to 1000000", .max = 1000000},
	{0},
};

static const struct schema checkpoints[] = {
	{"type", SCHEMA_WORD, "\"production\", \"production-only\", \"standard\" or \"disabled\"",
	 .words = checkpoint_types},
	{"parent", SCHEMA_TEXT, "a checkpoint's id, or null", .nullable = true, .max = 36,
	 .check = is_id},
	{0},
};

static const struct schema vm[] = {
	{"format", SCHEMA_WHOLE, "1", .min = 1, .max = 1},
	{"revision", SCHEMA_WHOLE, "a number above 0", .min = 1, .max = INT64_MAX - 1},
	{"id", SCHEMA_TEXT, "a GUID", .max = 36, .check = is_id},
	{"name", SCHEMA_TEXT,
	 "a name of 1 to 100 bytes that is no GUID and has no blanks at its ends",
	 .max = NAME_BYTES, .check = is_name},
	{"notes", SCHEMA_TEXT, "text of at most 65536 bytes", .max = 65536, .lines = true},
	{"created", SCHEMA_TEXT, "a time such as 2026-01-01T00:00:00Z", .max = 40},
	{"boot", SCHEMA_OBJECT, "an object", .members = boot},
	{"engine", SCHEMA_WORD, "\"auto\", \"emu\" or \"kvm\"", .words = engines, .optional = true},
	{"processors", SCHEMA_OBJECT, "an object", .members = processors},
	{"memory", SCHEMA_OBJECT, "an object", .members = memory},
	{"disks", SCHEMA_LIST, "a list of at most 260 disks", .max = CONFIG_DISKS_MAX,
	 .members = disk},
	{"dvds", SCHEMA_LIST, "a list of at most 256 drives", .max = 256, .members = dvd},
	{"adapters", SCHEMA_LIST, "a list of at most 64 adapters", .max = CONFIG_ADAPTERS_MAX,
	 .members = adapter},
	{"automatic_start", SCHEMA_OBJECT, "an object", .members = automatic_start},
	{"automatic_stop", SCHEMA_WORD, "\"save\", \"shutdown\" or \"turn-off\"",
	 .words = stop_actions},
	{"automatic_recovery", SCHEMA_WORD, "\"none\" or \"restart\"", .words = recoveries},
	{"checkpoints", SCHEMA_OBJECT, "an object", .members = checkpoints},
	{0},
};

/* ---- What members have to do with each other ---- */

/* False: it has none, or none that can be. */
static bool get_place(const json_t *item, struct vm_config_place *ret)
{
	if (!json_is_string(json_object_get(item, "controller")) ||
	    !json_is_integer(json_object_get(item, "location"))) {
		return false;
	}
	*ret = (struct vm_config_place){
		.ide = strcmp(json_string_value(json_object_get(item, "controller")), "ide") == 0,
		.number = (unsigned)json_integer_value(json_object_get(item, "number")),
		.location = (unsigned)json_integer_value(json_object_get(item, "location")),
	};
	return !ret->ide || (ret->number < 2 && ret->location < 2);
}

static unsigned place_index(const struct vm_config_place *p)
{
	return p->ide ? 256 + p->number * 2 + p->location : p->number * 64 + p->location;
}

static bool check_places(const json_t *c, const char *kind, bool *taken, struct schema_error *error)
{
	const json_t *list = json_object_get(c, kind);
	struct vm_config_place p;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		char at[64], place[32];

		snprintf(at, sizeof(at), "%s[%zu]", kind, i);
		vm_config_place_text(item, place);
		if (!get_place(item, &p)) {
			return schema_refuse(error, at, item,
					     "on IDE number 0 or 1 and location 0 or 1");
		}
		if (taken[place_index(&p)]) {
			snprintf(error->text, sizeof(error->text),
				 "%s: %s is taken already; expected a place of its own for each "
				 "disk and drive",
				 at, place);
			return false;
		}
		taken[place_index(&p)] = true;
	}
	return true;
}

static bool check_adapter(const json_t *a, const char *at, struct schema_error *error)
{
	char text[ADAPTER_TEXT_BYTES], why[700];

	if (adapter_text(a, text, why, sizeof(why)) && adapter_check(text, why, sizeof(why))) {
		return true;
	}
	snprintf(error->text, sizeof(error->text), "%s: %s", at, why);
	return false;
}

static bool check_adapters(const json_t *c, struct schema_error *error)
{
	const json_t *list = json_object_get(c, "adapters");
	bool taken[CONFIG_ADAPTERS_MAX] = {false};

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *a = json_array_get(list, i);
		json_int_t number = json_integer_value(json_object_get(a, "number"));
		char at[64];

		snprintf(at, sizeof(at), "adapters[%zu]", i);
		if (taken[number]) {
			return schema_refuse(error, at, a, "a number of its own for each adapter");
		}
		taken[number] = true;
		if (!check_adapter(a, at, error)) {
			return false;
		}
	}
	return true;
}

bool vm_config_check(const json_t *c, struct schema_error *error)
{
	bool taken[256 + 4] = {false};

	return schema_check(c, vm, "", error) && cpu_settings_check(c, error) &&
	       check_places(c, "disks", taken, error) && check_places(c, "dvds", taken, error) &&
	       check_adapters(c, error);
}

/* ---- Places ---- */

bool vm_config_place_parse(const char *text, struct vm_config_place *ret)
{
	struct vm_config_place p = {.ide = strncmp(text, "ide", 3) == 0};
	int end = 0;

	if (p.ide || strncmp(text, "scsi", 4) == 0) {
		text += p.ide ? 3 : 4;
	}
	if (text[0] < '0' || text[0] > '9' ||
	    sscanf(text, "%1u:%2u%n", &p.number, &p.location, &end) != 2 || text[end] != '\0' ||
	    strchr(text, ' ') != NULL || p.number > (p.ide ? 1u : 3u) ||
	    p.location > (p.ide ? 1u : 63u)) {
		return false;
	}
	*ret = p;
	return true;
}

void vm_config_place_text(const json_t *item, char ret[32])
{
	snprintf(ret, 32, "%.4s%u:%u", json_string_value(json_object_get(item, "controller")),
		 (unsigned)json_integer_value(json_object_get(item, "number")),
		 (unsigned)json_integer_value(json_object_get(item, "location")));
}

int vm_config_place_find(const json_t *c, const char *kind, const struct vm_config_place *place)
{
	const json_t *list = json_object_get(c, kind);
	struct vm_config_place p;

	for (size_t i = 0; i < json_array_size(list); i++) {
		if (get_place(json_array_get(list, i), &p) &&
		    place_index(&p) == place_index(place)) {
			return (int)i;
		}
	}
	return -1;
}

int vm_config_adapter_find(const json_t *c, json_int_t number)
{
	const json_t *list = json_object_get(c, "adapters");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *other = json_object_get(json_array_get(list, i), "number");

		if (json_is_integer(other) && json_integer_value(other) == number) {
			return (int)i;
		}
	}
	return -1;
}
