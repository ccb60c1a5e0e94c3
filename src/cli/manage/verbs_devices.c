// SPDX-License-Identifier: Apache-2.0
/* What is plugged into a machine: `virid disk attach|detach|attached`, `virid dvd`, `virid adapter`. */
#include "manage.h"

static const struct manage_option place_options[] = {
	{"file", OPTION_PATH, "path", .value = "FILE", .help = "the virtual disk"},
	{"new", OPTION_SIZE, "create_bytes", .value = "SIZE", .help = "a new one instead"},
	{"controller", OPTION_CHOICE, "controller", "scsi|ide", .help = "default scsi"},
	{"number", OPTION_NUMBER, "number", .value = "N", .help = "which controller (default 0)"},
	{"location", OPTION_NUMBER, "location", .value = "N", .help = "default: the first free"},
	{"read-only", OPTION_FLAG, "read_only", .help = "the guest cannot write"},
	{"iops", OPTION_NUMBER, "iops", .value = "N", .help = "at most so many requests a second"},
	{0},
};
static const struct manage_option set_disk_options[] = {
	{"size", OPTION_SIZE, "bytes", .value = "SIZE", .help = "another size"},
	{"iops", OPTION_NUMBER, "iops", .value = "N",
	 .help = "at most so many requests a second; 0: no limit"},
	{0},
};
static const struct manage_column disk_columns[] = {
	{"PLACE", "place"},
	{"SIZE", "bytes", COLUMN_BYTES},
	{"FILE SIZE", "file_bytes", COLUMN_BYTES},
	{"FORMAT", "format"},
	{"READ-ONLY", "read_only"},
	{"FILE", "path"},
	{0},
};

/* `virid disk` itself works on files (../disk.c); these words of it are about machines. */
const struct manage_verb manage_disk_verbs[] = {
	{"disk", "attach", "VM [FILE]", "attaches a virtual disk to a machine", "POST",
	 "/vms/{0}/disks", place_options, .done = "attached as {controller}{number}:{location}",
	 .run = vm_folder_run},
	{"disk", "detach", "VM PLACE", "takes it away", "DELETE", "/vms/{0}/disks/{1}",
	 .done = "{1} of {0} is detached"},
	{"disk", "attached", "VM", "lists the disks of a machine", "GET", "/vms/{0}/disks",
	 .answer = ANSWER_LIST, .list = "disks", .columns = disk_columns},
	{"disk", "set", "VM PLACE", "changes an attached disk", "PATCH", "/vms/{0}/disks/{1}",
	 set_disk_options, .done = "{1} of {0} is changed"},
	{0},
};

static const struct manage_option dvd_options[] = {
	{"file", OPTION_PATH, "path", .value = "FILE", .help = "the ISO image in it"},
	{"number", OPTION_NUMBER, "number", .value = "N", .help = "which controller (default 0)"},
	{"location", OPTION_NUMBER, "location", .value = "N", .help = "default: the first free"},
	{0},
};
static const struct manage_column dvd_columns[] = {{"PLACE", "place"}, {"FILE", "path"}, {0}};

const struct manage_verb manage_dvd_verbs[] = {
	{"dvd", "add", "VM", "adds a DVD drive", "POST", "/vms/{0}/dvds", dvd_options,
	 .done = "added as {controller}{number}:{location}"},
	{"dvd", "remove", "VM PLACE", "takes it away", "DELETE", "/vms/{0}/dvds/{1}",
	 .done = "{1} of {0} is removed"},
	{"dvd", "list", "VM", "lists the drives", "GET", "/vms/{0}/dvds", .answer = ANSWER_LIST,
	 .list = "dvds", .columns = dvd_columns},
	{"dvd", "insert", "VM PLACE FILE", "puts an ISO image in", "PATCH", "/vms/{0}/dvds/{1}",
	 .done = "{2} is in {1} of {0}", .run = vm_folder_run},
	{"dvd", "eject", "VM PLACE", "takes it out", "PATCH", "/vms/{0}/dvds/{1}",
	 .done = "{1} of {0} is empty", .run = dvd_eject_run},
	{0},
};

static const struct manage_option adapter_options[] = {
	{"switch", OPTION_TEXT, "switch", .value = "SWITCH", .help = "where it is plugged in"},
	{"mac", OPTION_TEXT, "mac", .value = "MAC", .help = "its address; default: a new one"},
	{"vlan", OPTION_TEXT, "vlan", .value = "VLAN", .help = "access VLAN, 1 to 4094"},
	{"name", OPTION_TEXT, "name", .value = "NAME", .help = "what people call it"},
	{0},
};
static const struct manage_column adapter_columns[] = {
	{"NUMBER", "number"},
	{"NAME", "name"},
	{"SWITCH", "switch"},
	{"MAC", "mac"},
	{"VLAN", "vlan"},
	{"LINK", "link"},
	{0},
};

const struct manage_verb manage_adapter_verbs[] = {
	{"adapter", "add", "VM", "adds a network adapter", "POST", "/vms/{0}/adapters",
	 adapter_options, .done = "added as adapter {number}"},
	{"adapter", "remove", "VM NUMBER", "takes it away", "DELETE", "/vms/{0}/adapters/{1}",
	 .done = "adapter {1} of {0} is removed"},
	{"adapter", "list", "VM", "lists the adapters", "GET", "/vms/{0}/adapters",
	 .answer = ANSWER_LIST, .list = "adapters", .columns = adapter_columns},
	{"adapter", "set", "VM NUMBER", "changes it", "PATCH", "/vms/{0}/adapters/{1}",
	 adapter_options, .done = "adapter {1} of {0} is changed"},
	{0},
};
