// SPDX-License-Identifier: Apache-2.0
/* `virid vm` and `virid checkpoint`. */
#include <string.h>

#include "manage.h"

/* ---- Options that are more than a member ---- */

static json_t *list_in(json_t *body, const char *name)
{
	json_t *list = member_get(body, name);

	if (list == NULL) {
		list = json_array();
		json_add(body, name, list);
	}
	return list;
}

/* Adds to @list an object whose @member is @value (taken over). False for NULL, which somebody complained about. */
static bool add_object(json_t *body, const char *list, const char *member, json_t *value)
{
	if (value == NULL) {
		return false;
	}
	json_t *o = json_object();

	json_add(o, member, value);
	json_append(list_in(body, list), o);
	return true;
}

static bool add_disk(json_t *body, const char *text)
{
	return add_object(body, "disks", "path", manage_absolute(text));
}

/* SIZE, or FILE=SIZE */
static bool add_new_disk(json_t *body, const char *text)
{
	const char *equals = strrchr(text, '=');
	json_t *disk, *file = NULL;
	uint64_t bytes;
	char path[4096];

	if (!parse_size(equals == NULL ? text : equals + 1, false, &bytes) || bytes > INT64_MAX) {
		complain("--new-disk: '%s' is not a size; expected such as 20G, or FILE=20G", text);
		return false;
	}
	if (equals != NULL) {
		snprintf(path, sizeof(path), "%.*s", (int)(equals - text), text);
		file = manage_absolute(path);
		if (file == NULL) {
			return false;
		}
	}
	disk = json_object();
	if (file != NULL) {
		json_add(disk, "path", file);
	}
	json_add_number(disk, "create_bytes", bytes);
	json_append(list_in(body, "disks"), disk);
	return true;
}

static bool add_parent(json_t *body, const char *text)
{
	return add_object(body, "disks", "parent", manage_absolute(text));
}

static bool add_dvd(json_t *body, const char *text)
{
	return add_object(body, "dvds", "path",
			  text[0] == '\0' ? json_new_text("") : manage_absolute(text));
}

/* SWITCH[,mac=..][,vlan=..][,name=..] */
static bool add_adapter(json_t *body, const char *text)
{
	json_t *adapter;
	char copy[512], *at = copy, *part;
	bool first = true;

	if (strlen(text) >= sizeof(copy) || !json_is_utf8(text)) {
		complain("--switch: '%.80s' is %s", text,
			 json_is_utf8(text) ? "too long" : "not UTF-8");
		return false;
	}
	adapter = json_object();
	snprintf(copy, sizeof(copy), "%s", text);
	while ((part = strsep(&at, ",")) != NULL) {
		char *equals = strchr(part, '=');

		if (!first && equals == NULL) {
			complain("--switch: '%s' is not an option; expected "
				 "SWITCH,mac=..,vlan=..,name=..",
				 part);
			json_decref(adapter);
			return false;
		}
		if (equals != NULL) {
			*equals = '\0';
		}
		json_add_text(adapter, first ? "switch" : part, first ? part : equals + 1);
		first = false;
	}
	json_append(list_in(body, "adapters"), adapter);
	return true;
}

/* ---- vm ---- */

#define SETTINGS                                                                                   \
	{"memory",                                                                                 \
	 OPTION_SIZE,                                                                              \
	 "memory.startup_bytes",                                                                   \
	 .value = "SIZE",                                                                          \
	 .help = "memory, such as 2G (a bare number: MiB)",                                        \
	 .bare_mib = true},                                                                        \
		{"processors", OPTION_NUMBER, "processors.count", .value = "N",                    \
		 .help = "virtual processors"},                                                    \
		{"cpu", OPTION_TEXT, "processors.model", .value = "MODEL",                         \
		 .help = "what processors the guest sees, as of virid run"},                       \
		{"cpu-weight", OPTION_NUMBER, "processors.weight", .value = "N",                   \
		 .help = "against other machines' (1 to 10000, 100)"},                             \
		{"cpu-reserve", OPTION_NUMBER, "processors.reserve_percent", .value = "PERCENT",   \
		 .help = "of a processor for each virtual one, whatever others do"},               \
		{"cpu-limit", OPTION_NUMBER, "processors.limit_percent", .value = "PERCENT",       \
		 .help = "of a processor for each virtual one; 100: none"},                        \
		{"affinity", OPTION_TEXT, "processors.affinity", .value = "LIST",                  \
		 .help = "the host's processors that it may run on, such as 0-3,8"},               \
		{"numa-nodes", OPTION_TEXT, "processors.numa_nodes", .value = "LIST",              \
		 .help = "where its memory comes from, and it runs unless --affinity says"},       \
		{"engine", OPTION_CHOICE, "engine", "auto|emu|kvm",                                \
		 .help = "what runs it: software, the processor (KVM), or what suits this host"},  \
		{"kernel", OPTION_PATH, "boot.kernel", .value = "FILE",                            \
		 .help = "Linux kernel to boot"},                                                  \
		{"initrd", OPTION_PATH, "boot.initrd", .value = "FILE",                            \
		 .help = "its initial file system"},                                               \
		{"cmdline", OPTION_TEXT, "boot.cmdline", .value = "TEXT",                          \
		 .help = "its command line"},                                                      \
		{"notes", OPTION_TEXT, "notes", .value = "TEXT", .help = "a remark"},              \
		{"start-action", OPTION_CHOICE, "automatic_start.action",                          \
		 "none|if-was-running|always", .help = "when the host starts"},                    \
		{"start-delay", OPTION_DURATION, "automatic_start.delay_s", .value = "TIME",       \
		 .help = "wait before that"},                                                      \
		{"start-order", OPTION_NUMBER, "automatic_start.order", .value = "N",              \
		 .help = "lower ones start earlier"},                                              \
		{"stop-action", OPTION_CHOICE, "automatic_stop", "save|shutdown|turn-off",         \
		 .help = "when the host stops"},                                                   \
		{"recovery", OPTION_CHOICE, "automatic_recovery", "none|restart",                  \
		 .help = "when the machine crashes"},                                              \
	{                                                                                          \
		"checkpoints", OPTION_CHOICE, "checkpoints.type",                                  \
			"production|production-only|standard|disabled",                            \
			.help = "kind of checkpoints"                                              \
	}

static const struct manage_option create_options[] = {
	SETTINGS,
	{"disk", OPTION_FUNCTION, .value = "FILE", .help = "a virtual disk that is there",
	 .apply = add_disk},
	{"new-disk", OPTION_FUNCTION, .value = "[FILE=]SIZE",
	 .help = "a new one (VHDX, dynamic), in the machine's folder unless FILE is given",
	 .apply = add_new_disk},
	{"parent-disk", OPTION_FUNCTION, .value = "FILE",
	 .help = "a new differencing disk over FILE", .apply = add_parent},
	{"dvd", OPTION_FUNCTION, .value = "FILE", .help = "a DVD drive with this ISO image",
	 .apply = add_dvd},
	{"switch", OPTION_FUNCTION, .value = "SWITCH[,mac=..][,vlan=..]",
	 .help = "a network adapter", .apply = add_adapter},
	{0},
};
static const struct manage_option set_options[] = {SETTINGS, {0}};
static const struct manage_option stop_options[] = {
	{"force", OPTION_FLAG, "force", .help = "also when it is saved or in a critical state"},
	{0},
};
static const struct manage_option shutdown_options[] = {
	{"force", OPTION_FLAG, "force", .help = "programs in it are not asked"},
	{"reboot", OPTION_FLAG, "reboot", .help = "and start again"},
	{"timeout", OPTION_DURATION, "timeout_s", .value = "TIME",
	 .help = "how long it may take (default 5m)"},
	{0},
};
static const struct manage_option remove_options[] = {
	{"disks", OPTION_QUERY, "disks", .help = "its disks too: those in its own folder"},
	{0},
};
static const struct manage_option import_options[] = {
	{"copy", OPTION_FLAG, "mode", "copy", .help = "copy the folder to where machines are"},
	{"register", OPTION_FLAG, "mode", "register", .help = "leave it where it is (default)"},
	{"new-id", OPTION_FLAG, "new_id", .help = "as another machine"},
	{0},
};

static void state_cell(json_t *row, char *text, size_t size)
{
	snprintf(text, size, "%s%s", member_text(row, "state"),
		 json_is_true(member_get(row, "critical")) ? " (critical)" : "");
}

static const struct manage_column list_columns[] = {
	{"NAME", "name"},
	{"STATE", .cell = state_cell},
	{"CPU", "cpu_percent", COLUMN_PERCENT},
	{"MEMORY", "memory_bytes", COLUMN_BYTES},
	{"UPTIME", "uptime_s", COLUMN_SECONDS},
	{"HEARTBEAT", "heartbeat"},
	{"ID", "id"},
	{0},
};

const struct manage_verb manage_vm_verbs[] = {
	{"vm", "create", "NAME", "makes a virtual machine", "POST", "/vms", create_options,
	 .done = "{name} is made ({id})", .operand_member = {"name"}},
	{"vm", "list", "", "lists the machines and their states", "GET", "/vms",
	 .answer = ANSWER_LIST, .list = "vms", .columns = list_columns},
	{"vm", "show", "VM", "shows all about a machine", .answer = ANSWER_SHOW,
	 .run = vm_show_run},
	{"vm", "set", "VM", "changes settings", "PATCH", "/vms/{0}", set_options,
	 .done = "{0} is changed"},
	{"vm", "start", "VM...", "starts, or restores what was saved", "POST", "/vms/{0}/start",
	 .done = "{0} is running"},
	{"vm", "stop", "VM...", "turns off at once, without asking the guest", "POST",
	 "/vms/{0}/stop", stop_options, .done = "{0} is off"},
	{"vm", "shutdown", "VM...", "asks the guest to shut down", "POST", "/vms/{0}/shutdown",
	 shutdown_options, .done = "{0} is off"},
	{"vm", "save", "VM...", "saves the state and stops", "POST", "/vms/{0}/save",
	 .done = "{0} is saved"},
	{"vm", "pause", "VM...", "stops the processors", "POST", "/vms/{0}/pause",
	 .done = "{0} is paused"},
	{"vm", "resume", "VM...", "lets them go on", "POST", "/vms/{0}/resume",
	 .done = "{0} is running"},
	{"vm", "reset", "VM...", "presses the reset button", "POST", "/vms/{0}/reset",
	 .done = "{0} is reset"},
	{"vm", "rename", "VM NAME", "gives another name", "POST", "/vms/{0}/rename",
	 .done = "{0} is now {1}", .operand_member = {NULL, "name"}},
	{"vm", "remove", "VM...", "forgets a machine that is off; disks stay", "DELETE", "/vms/{0}",
	 remove_options, .run = vm_remove_run},
	{"vm", "remove-saved-state", "VM...", "drops the saved state: the machine is off", "POST",
	 "/vms/{0}/remove-saved-state", .done = "{0} is off"},
	{"vm", "console", "VM", "connects this terminal to the serial console (Ctrl-] leaves)",
	 .run = vm_console_run},
	{"vm", "stats", "VM", "shows counters", "GET", "/vms/{0}/stats", .answer = ANSWER_SHOW,
	 .run = vm_stats_run},
	{"vm", "export", "VM FOLDER", "copies a machine with disks and checkpoints into FOLDER",
	 "POST", "/vms/{0}/export", .done = "{0} is exported", .run = vm_folder_run},
	{"vm", "import", "FOLDER", "takes in an exported or copied machine", "POST", "/vms/import",
	 import_options, .done = "{name} is imported ({id})", .run = vm_folder_run},
	{"vm", "clone", "VM NAME", "makes another one on differencing disks", "POST",
	 "/vms/{0}/clone", .done = "{name} is made ({id})", .operand_member = {NULL, "name"}},
	{0},
};

/* ---- checkpoint ---- */

static const struct manage_option checkpoint_options[] = {
	{"standard", OPTION_FLAG, "kind", "standard", .help = "with memory and devices"},
	{"production", OPTION_FLAG, "kind", "production",
	 .help = "disks only, file systems frozen by the guest"},
	{0},
};
static const struct manage_option checkpoint_export_options[] = {
	{"chain", OPTION_FLAG, "disks", "chain",
	 .help = "copies of all files of each disk, not one with all that they show"},
	{0},
};
static const struct manage_option apply_options[] = {
	{"checkpoint-first", OPTION_FLAG, "checkpoint_first",
	 .help = "make a checkpoint of the present state first"},
	{0},
};
static const struct manage_option subtree_options[] = {
	{"subtree", OPTION_QUERY, "subtree", .help = "and all that come from it"},
	{0},
};

const struct manage_verb manage_checkpoint_verbs[] = {
	{"checkpoint", "create", "VM [NAME]", "remembers the present state", "POST",
	 "/vms/{0}/checkpoints", checkpoint_options, .done = "checkpoint {name} of {0} is made",
	 .operand_member = {NULL, "name"}},
	{"checkpoint", "list", "VM", "shows the tree", "GET", "/vms/{0}/checkpoints",
	 .answer = ANSWER_LIST, .list = "checkpoints", .run = checkpoint_list_run},
	{"checkpoint", "apply", "VM CHECKPOINT", "goes back to that state", "POST",
	 "/vms/{0}/checkpoints/{1}/apply", apply_options, .done = "{0} is as in checkpoint {1}"},
	{"checkpoint", "remove", "VM CHECKPOINT", "forgets it; its disk is merged", "DELETE",
	 "/vms/{0}/checkpoints/{1}", subtree_options, .done = "checkpoint {1} of {0} is removed"},
	{"checkpoint", "rename", "VM CHECKPOINT NAME", "gives another name", "PATCH",
	 "/vms/{0}/checkpoints/{1}", .done = "checkpoint {1} of {0} is now {2}",
	 .run = checkpoint_rename_run},
	{"checkpoint", "export", "VM CHECKPOINT FOLDER", "copies it as a machine of its own",
	 "POST", "/vms/{0}/checkpoints/{1}/export", checkpoint_export_options,
	 .done = "checkpoint {1} of {0} is exported", .run = vm_folder_run},
	{0},
};
