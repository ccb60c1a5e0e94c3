// SPDX-License-Identifier: Apache-2.0
/* `virid host`, `job`, `event`, `role`, `audit`. */
#include "manage.h"

static const struct manage_option host_options[] = {
	{"vm-folder", OPTION_PATH, "vm_folder", .value = "FOLDER",
	 .help = "where new machines are kept"},
	{"disk-folder", OPTION_PATH, "disk_folder", .value = "FOLDER",
	 .help = "where disks may lie, beside the machines' own folders"},
	{0},
};
/* "emu: why": what a machine gets whose engine is auto. */
static void engine_cell(json_t *row, char *text, size_t size)
{
	const char *engine = member_text(row, "engine.auto");

	snprintf(text, size, "%s%s%s", engine, engine[0] == '\0' ? "" : ": ",
		 member_text(row, "engine.reason"));
}

/* "150 of 400 % reserved", or why shares do not act. */
static void share_cell(json_t *row, char *text, size_t size)
{
	if (!json_is_true(member_get(row, "cpu_policy.acts"))) {
		snprintf(text, size, "do not act: %s", member_text(row, "cpu_policy.reason"));
		return;
	}
	snprintf(text, size, "act; %lld of %lld %% are reserved",
		 (long long)json_integer_value(member_get(row, "cpu_policy.reserved_percent")),
		 (long long)json_integer_value(member_get(row, "cpu_policy.capacity_percent")));
}

static const struct manage_column host_columns[] = {
	{"Name", "name"},
	{"Version", "version"},
	{"Processors", "processors"},
	{"Memory", "memory_bytes", COLUMN_BYTES},
	{"Memory available", "memory_available_bytes", COLUMN_BYTES},
	{"NUMA nodes", "cpu_policy.numa_nodes"},
	{"Processor shares", .cell = share_cell},
	{"Engine (auto)", .cell = engine_cell},
	{"Machines", "vms"},
	{"Running", "running"},
	{"Folder of machines", "vm_folder"},
	{"Folders of disks", "disk_folders"},
	{0},
};
const struct manage_verb manage_host_verbs[] = {
	{"host", "info", "", "shows this host", "GET", "/host", .answer = ANSWER_SHOW,
	 .columns = host_columns},
	{"host", "set", "", "changes its settings", "PATCH", "/host", host_options,
	 .done = "the host is changed"},
	{0},
};

static const struct manage_column job_columns[] = {
	{"ID", "id"},
	{"KIND", "kind"},
	{"VM", "vm_name"},
	{"STATE", "state"},
	{"DONE", "progress", COLUMN_PERCENT},
	{"PHASE", "phase"},
	{"STARTED", "started", COLUMN_TIME},
	{"BY", "who"},
	{0},
};
const struct manage_verb manage_job_verbs[] = {
	{"job", "list", "", "lists what goes on, and what ended lately", "GET", "/jobs",
	 .answer = ANSWER_LIST, .list = "jobs", .columns = job_columns},
	{"job", "wait", "JOB", "waits for its end", "GET", "/jobs/{0}", .done = "{0} is done"},
	{"job", "cancel", "JOB...", "asks it to end", "DELETE", "/jobs/{0}",
	 .done = "{0} is told to end", .run = job_cancel_run},
	{0},
};

static const struct manage_option event_options[] = {
	{"vm", OPTION_OURS, .value = "VM", .help = "only this machine's"},
	{"count", OPTION_OURS, .value = "N", .help = "ends after so many"},
	{0},
};
const struct manage_verb manage_event_verbs[] = {
	{"event", "watch", "", "shows what happens, as it happens", .options = event_options,
	 .answer = ANSWER_LIST, .run = event_watch_run},
	{0},
};

static const struct manage_option grant_options[] = {
	{"vm", OPTION_TEXT, "vm", .value = "VM", .help = "for this machine only"},
	{0},
};
static const struct manage_column role_columns[] = {
	{"WHO", "who"}, {"ROLE", "role"}, {"VM", "vm"}, {0}};
const struct manage_verb manage_role_verbs[] = {
	{"role", "list", "", "lists who may do what", "GET", "/roles", .answer = ANSWER_LIST,
	 .list = "roles", .columns = role_columns},
	{"role", "grant", "WHO ROLE", "gives a user, @group or CN=name a role", "PUT", "/roles",
	 grant_options, .done = "{0} is {1}", .operand_member = {"who", "role"},
	 .run = role_grant_run,
	 .notes = "Roles: administrator (everything), operator (states, consoles, checkpoints, "
		  "media), viewer (look).\n"},
	{"role", "revoke", "WHO", "takes it back", "DELETE", "/roles", grant_options,
	 .done = "{0} has no role", .run = role_revoke_run},
	{0},
};

static const struct manage_option audit_options[] = {
	{"count", OPTION_OURS, .value = "N", .help = "the last so many (default 50)"},
	{0},
};
static const struct manage_column audit_columns[] = {
	{"TIME", "time", COLUMN_TIME},
	{"WHO", "who"},
	{"WHAT", "what"},
	{"ON", "on"},
	{"RESULT", "result"},
	{0},
};
const struct manage_verb manage_audit_verbs[] = {
	{"audit", "list", "", "lists who changed what", "GET", "/audit", audit_options,
	 .answer = ANSWER_LIST, .list = "entries", .columns = audit_columns, .run = audit_list_run},
	{0},
};
