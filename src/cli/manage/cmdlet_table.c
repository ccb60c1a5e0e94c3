// SPDX-License-Identifier: Apache-2.0
/* Spec: the Hyper-V module's reference (Windows Server 2025): names of cmdlets, parameters and properties. */
#include <string.h>

#include "cmdlet.h"

#define ONE_VM                                                                                     \
	{"Name", PARAMETER_OPERAND, "0"},                                                          \
	{                                                                                          \
		"VMName", PARAMETER_OPERAND, "0"                                                   \
	}
#define QUIET                                                                                      \
	{"Force", PARAMETER_SWITCH}, {"Passthru", PARAMETER_SWITCH},                               \
		{"Confirm", PARAMETER_SWITCH},                                                     \
	{                                                                                          \
		"ComputerName", PARAMETER_VALUE                                                    \
	}
#define END                                                                                        \
	{                                                                                          \
		0                                                                                  \
	}

static const struct cmdlet_parameter vm_only[] = {ONE_VM, QUIET, END};
static const struct cmdlet_parameter stop_vm[] = {
	ONE_VM, {"TurnOff", PARAMETER_VERB, "stop"}, {"Save", PARAMETER_VERB, "save"}, QUIET, END};
static const struct cmdlet_parameter restart_vm[] = {
	ONE_VM, {"Wait", PARAMETER_SWITCH}, QUIET, END};
#define ENGINES "Auto=auto|Emu=emu|Kvm=kvm" /* ours: Hyper-V has one only */
static const struct cmdlet_parameter new_vm[] = {
	{"Name", PARAMETER_OPERAND, "0"},
	{"MemoryStartupBytes", PARAMETER_OPTION, "memory"},
	{"VHDPath", PARAMETER_OPTION, "disk"},
	{"NewVHDSizeBytes", PARAMETER_OPTION, "new-disk"},
	{"SwitchName", PARAMETER_OPTION, "switch"},
	{"Kernel", PARAMETER_OPTION, "kernel"},
	{"Initrd", PARAMETER_OPTION, "initrd"},
	{"CommandLine", PARAMETER_OPTION, "cmdline"},
	{"Engine", PARAMETER_OPTION, "engine", ENGINES},
	{"NoVHD", PARAMETER_SWITCH},
	{"Generation", PARAMETER_VALUE},
	QUIET,
	END,
};
#define START_ACTIONS "Nothing=none|StartIfRunning=if-was-running|Start=always"
#define STOP_ACTIONS "TurnOff=turn-off|Save=save|ShutDown=shutdown"
#define CHECKPOINT_TYPES                                                                           \
	"Disabled=disabled|Production=production|ProductionOnly=production-only|Standard=standard"
static const struct cmdlet_parameter set_vm[] = {
	ONE_VM,
	{"MemoryStartupBytes", PARAMETER_OPTION, "memory"},
	{"ProcessorCount", PARAMETER_OPTION, "processors"},
	{"Engine", PARAMETER_OPTION, "engine", ENGINES},
	{"Notes", PARAMETER_OPTION, "notes"},
	{"AutomaticStartAction", PARAMETER_OPTION, "start-action", START_ACTIONS},
	{"AutomaticStartDelay", PARAMETER_OPTION, "start-delay"},
	{"AutomaticStopAction", PARAMETER_OPTION, "stop-action", STOP_ACTIONS},
	{"CheckpointType", PARAMETER_OPTION, "checkpoints", CHECKPOINT_TYPES},
	{"StaticMemory", PARAMETER_SWITCH},
	QUIET,
	END,
};
static const struct cmdlet_parameter rename_vm[] = {
	ONE_VM, {"NewName", PARAMETER_OPERAND, "1"}, QUIET, END};
static const struct cmdlet_parameter export_vm[] = {
	ONE_VM, {"Path", PARAMETER_OPERAND, "1"}, QUIET, END};
static const struct cmdlet_parameter import_vm[] = {{"Path", PARAMETER_OPERAND, "0"},
						    {"Copy", PARAMETER_SWITCH, "copy"},
						    {"Register", PARAMETER_SWITCH, "register"},
						    {"GenerateNewId", PARAMETER_SWITCH, "new-id"},
						    QUIET,
						    END};
static const struct cmdlet_parameter processor[] = {
	{"VMName", PARAMETER_OPERAND, "0"},
	{"Count", PARAMETER_OPTION, "processors"},
	{"RelativeWeight", PARAMETER_OPTION, "cpu-weight"},
	{"Reserve", PARAMETER_OPTION, "cpu-reserve"},
	{"Maximum", PARAMETER_OPTION, "cpu-limit"},
	QUIET,
	END,
};
static const struct cmdlet_parameter memory[] = {{"VMName", PARAMETER_OPERAND, "0"},
						 {"StartupBytes", PARAMETER_OPTION, "memory"},
						 QUIET,
						 END};

static const struct cmdlet_parameter checkpoint_vm[] = {
	ONE_VM, {"SnapshotName", PARAMETER_OPERAND, "1"}, QUIET, END};
static const struct cmdlet_parameter restore_snapshot[] = {
	{"VMName", PARAMETER_OPERAND, "0"}, {"Name", PARAMETER_OPERAND, "1"}, QUIET, END};
static const struct cmdlet_parameter remove_snapshot[] = {
	{"VMName", PARAMETER_OPERAND, "0"},
	{"Name", PARAMETER_OPERAND, "1"},
	{"IncludeAllChildSnapshots", PARAMETER_SWITCH, "subtree"},
	{"IncludeAllChildCheckpoints", PARAMETER_SWITCH, "subtree"},
	QUIET,
	END,
};
static const struct cmdlet_parameter rename_snapshot[] = {{"VMName", PARAMETER_OPERAND, "0"},
							  {"Name", PARAMETER_OPERAND, "1"},
							  {"NewName", PARAMETER_OPERAND, "2"},
							  QUIET,
							  END};
static const struct cmdlet_parameter export_snapshot[] = {{"VMName", PARAMETER_OPERAND, "0"},
							  {"Name", PARAMETER_OPERAND, "1"},
							  {"Path", PARAMETER_OPERAND, "2"},
							  QUIET,
							  END};
static const struct cmdlet_parameter add_disk[] = {
	{"VMName", PARAMETER_OPERAND, "0"},
	{"Path", PARAMETER_OPTION, "file"},
	{"ControllerType", PARAMETER_OPTION, "controller", "SCSI=scsi|IDE=ide"},
	{"ControllerNumber", PARAMETER_OPTION, "number"},
	{"ControllerLocation", PARAMETER_OPTION, "location"},
	{"MaximumIOPS", PARAMETER_OPTION, "iops"},
	QUIET,
	END,
};
static const struct cmdlet_parameter add_dvd[] = {
	{"VMName", PARAMETER_OPERAND, "0"},
	{"Path", PARAMETER_OPTION, "file"},
	{"ControllerNumber", PARAMETER_OPTION, "number"},
	{"ControllerLocation", PARAMETER_OPTION, "location"},
	QUIET,
	END,
};
static const struct cmdlet_parameter add_adapter[] = {
	{"VMName", PARAMETER_OPERAND, "0"},
	{"SwitchName", PARAMETER_OPTION, "switch"},
	{"Name", PARAMETER_OPTION, "name"},
	{"StaticMacAddress", PARAMETER_OPTION, "mac"},
	QUIET,
	END,
};
static const struct cmdlet_parameter of_vm[] = {{"VMName", PARAMETER_OPERAND, "0"}, QUIET, END};
static const struct cmdlet_parameter none[] = {QUIET, END};

static const struct cmdlet_parameter new_vhd[] = {
	{"Path", PARAMETER_OPERAND, "0"},
	{"SizeBytes", PARAMETER_OPTION, "size"},
	{"Dynamic", PARAMETER_FIXED, "format=dynamic"},
	{"Fixed", PARAMETER_FIXED, "format=fixed"},
	{"Differencing", PARAMETER_SWITCH},
	{"ParentPath", PARAMETER_OPTION, "parent"},
	{"BlockSizeBytes", PARAMETER_OPTION, "block-size"},
	{"LogicalSectorSizeBytes", PARAMETER_OPTION, "sector-size"},
	{"PhysicalSectorSizeBytes", PARAMETER_OPTION, "physical-sector-size"},
	QUIET,
	END,
};
static const struct cmdlet_parameter path_only[] = {
	{"Path", PARAMETER_OPERAND, "0"}, {"Mode", PARAMETER_VALUE}, QUIET, END};
static const struct cmdlet_parameter resize_vhd[] = {
	{"Path", PARAMETER_OPERAND, "0"}, {"SizeBytes", PARAMETER_OPERAND, "1"}, QUIET, END};
static const struct cmdlet_parameter convert_vhd[] = {
	{"Path", PARAMETER_OPERAND, "0"},
	{"DestinationPath", PARAMETER_OPERAND, "1"},
	{"VHDType", PARAMETER_OPTION, "format", "Fixed=fixed|Dynamic=dynamic"},
	QUIET,
	END,
};
static const struct cmdlet_parameter merge_vhd[] = {{"Path", PARAMETER_OPERAND, "0"},
						    {"DestinationPath", PARAMETER_OPTION, "into"},
						    QUIET,
						    END};

static const struct cmdlet_parameter new_switch[] = {
	{"Name", PARAMETER_OPERAND, "0"},
	{"SwitchType", PARAMETER_OPTION, "type",
	 "Private=private|Internal=internal|External=external"},
	{"NetAdapterName", PARAMETER_OPTION, "interface"},
	{"Notes", PARAMETER_VALUE},
	QUIET,
	END,
};
static const struct cmdlet_parameter name_only[] = {{"Name", PARAMETER_OPERAND, "0"}, QUIET, END};

/* ---- Properties of what Get-* shows ---- */

/* "Running" for "running": an enumeration's words begin with capitals. */
static void capital(const char *text, char *cell, size_t size)
{
	snprintf(cell, size, "%s", text[0] == '\0' ? "-" : text);
	if (cell[0] >= 'a' && cell[0] <= 'z') {
		cell[0] = (char)(cell[0] - 'a' + 'A');
	}
}

static void state_cell(json_t *row, char *cell, size_t size)
{
	char state[64];

	capital(member_text(row, "state"), state, sizeof(state));
	snprintf(cell, size, "%s%s", state,
		 json_is_true(member_get(row, "critical")) ? "Critical" : "");
}

static void type_cell(json_t *row, char *cell, size_t size)
{
	capital(member_text(row, "kind"), cell, size);
}

static void controller_cell(json_t *row, char *cell, size_t size)
{
	snprintf(cell, size, "%s",
		 strncmp(member_text(row, "place"), "ide", 3) == 0 ? "IDE" : "SCSI");
}

static void controller_number_cell(json_t *row, char *cell, size_t size)
{
	const char *place = member_text(row, "place");
	size_t skip = strcspn(place, "0123456789");

	snprintf(cell, size, "%.*s", (int)strcspn(place + skip, ":"), place + skip);
}

static void location_cell(json_t *row, char *cell, size_t size)
{
	const char *colon = strchr(member_text(row, "place"), ':');

	snprintf(cell, size, "%s", colon == NULL ? "" : colon + 1);
}

static const struct manage_column vm_properties[] = {
	{"Name", "name"},
	{"State", .cell = state_cell},
	{"CPUUsage", "cpu_percent"},
	{"MemoryAssigned", "memory_bytes"},
	{"Uptime", "uptime_s", COLUMN_SECONDS},
	{"Heartbeat", "heartbeat"},
	{"Id", "id"},
	{"ParentSnapshotId", "checkpoint"},
	{0},
};
static const struct manage_column snapshot_properties[] = {{"Name", "name"},
							   {"SnapshotType", .cell = type_cell},
							   {"CreationTime", "created", COLUMN_TIME},
							   {"Id", "id"},
							   {"ParentSnapshotId", "parent"},
							   {0}};
static const struct manage_column drive_properties[] = {
	{"ControllerType", .cell = controller_cell},
	{"ControllerNumber", .cell = controller_number_cell},
	{"ControllerLocation", .cell = location_cell},
	{"Path", "path"},
	{0}};
static const struct manage_column adapter_properties[] = {
	{"Name", "name"}, {"SwitchName", "switch"}, {"MacAddress", "mac"}, {"VlanId", "vlan"}, {0}};
static const struct manage_column processor_properties[] = {
	{"VMName", "name"},
	{"Count", "configuration.processors.count"},
	{"RelativeWeight", "configuration.processors.weight"},
	{"Reserve", "configuration.processors.reserve_percent"},
	{"Maximum", "configuration.processors.limit_percent"},
	{0}};
static const struct manage_column memory_properties[] = {
	{"VMName", "name"}, {"Startup", "configuration.memory.startup_bytes"}, {0}};
static const struct manage_column host_properties[] = {{"Name", "name"},
						       {"LogicalProcessorCount", "processors"},
						       {"MemoryCapacity", "memory_bytes"},
						       {"VirtualMachinePath", "vm_folder"},
						       {0}};

const struct cmdlet cmdlets[] = {
	{"Get-VM", .parameters = vm_only, .positional = {"Name"}, .path = "/vms", .list = "vms",
	 .properties = vm_properties},
	{"New-VM", "vm", "create", new_vm, {"Name", "MemoryStartupBytes"}},
	{"Set-VM", "vm", "set", set_vm, {"Name"}},
	{"Start-VM", "vm", "start", vm_only, {"Name"}},
	{"Stop-VM", "vm", "shutdown", stop_vm, {"Name"}},
	{"Restart-VM", "vm", "reset", restart_vm, {"Name"}},
	{"Save-VM", "vm", "save", vm_only, {"Name"}},
	{"Suspend-VM", "vm", "pause", vm_only, {"Name"}},
	{"Resume-VM", "vm", "resume", vm_only, {"Name"}},
	{"Rename-VM", "vm", "rename", rename_vm, {"Name", "NewName"}},
	{"Remove-VM", "vm", "remove", vm_only, {"Name"}, "--yes"},
	{"Remove-VMSavedState", "vm", "remove-saved-state", of_vm, {"VMName"}},
	{"Export-VM", "vm", "export", export_vm, {"Name", "Path"}},
	{"Import-VM", "vm", "import", import_vm, {"Path"}},
	{"Set-VMProcessor", "vm", "set", processor, {"VMName", "Count"}},
	{"Set-VMMemory", "vm", "set", memory, {"VMName"}},
	{"Get-VMProcessor", .parameters = of_vm, .positional = {"VMName"}, .path = "/vms/{0}",
	 .properties = processor_properties},
	{"Get-VMMemory", .parameters = of_vm, .positional = {"VMName"}, .path = "/vms/{0}",
	 .properties = memory_properties},
	{"Checkpoint-VM", "checkpoint", "create", checkpoint_vm, {"Name", "SnapshotName"}},
	{"Get-VMSnapshot", .parameters = of_vm, .positional = {"VMName"},
	 .path = "/vms/{0}/checkpoints", .list = "checkpoints", .properties = snapshot_properties},
	{"Get-VMCheckpoint", .parameters = of_vm, .positional = {"VMName"},
	 .path = "/vms/{0}/checkpoints", .list = "checkpoints", .properties = snapshot_properties},
	{"Restore-VMSnapshot", "checkpoint", "apply", restore_snapshot, {"VMName", "Name"}},
	{"Restore-VMCheckpoint", "checkpoint", "apply", restore_snapshot, {"VMName", "Name"}},
	{"Remove-VMSnapshot", "checkpoint", "remove", remove_snapshot, {"VMName", "Name"}},
	{"Remove-VMCheckpoint", "checkpoint", "remove", remove_snapshot, {"VMName", "Name"}},
	{"Rename-VMSnapshot", "checkpoint", "rename", rename_snapshot, {"VMName", "Name"}},
	{"Rename-VMCheckpoint", "checkpoint", "rename", rename_snapshot, {"VMName", "Name"}},
	{"Export-VMSnapshot", "checkpoint", "export", export_snapshot, {"VMName", "Name"}},
	{"Export-VMCheckpoint", "checkpoint", "export", export_snapshot, {"VMName", "Name"}},
	{"Add-VMHardDiskDrive", "disk", "attach", add_disk, {"VMName", "ControllerType"}},
	{"Get-VMHardDiskDrive", .parameters = of_vm, .positional = {"VMName"},
	 .path = "/vms/{0}/disks", .list = "disks", .properties = drive_properties},
	{"Add-VMDvdDrive", "dvd", "add", add_dvd, {"VMName"}},
	{"Get-VMDvdDrive", .parameters = of_vm, .positional = {"VMName"}, .path = "/vms/{0}/dvds",
	 .list = "dvds", .properties = drive_properties},
	{"Add-VMNetworkAdapter", "adapter", "add", add_adapter, {"VMName"}},
	{"Get-VMNetworkAdapter", .parameters = of_vm, .positional = {"VMName"},
	 .path = "/vms/{0}/adapters", .list = "adapters", .properties = adapter_properties},
	{"Get-VMHost", .parameters = none, .path = "/host", .properties = host_properties},
	{"New-VHD", "disk", "create", new_vhd, {"Path", "SizeBytes"}},
	{"Get-VHD", "disk", "info", path_only, {"Path"}},
	{"Test-VHD", "disk", "check", path_only, {"Path"}},
	{"Resize-VHD", "disk", "resize", resize_vhd, {"Path", "SizeBytes"}},
	{"Convert-VHD", "disk", "convert", convert_vhd, {"Path", "DestinationPath"}},
	{"Optimize-VHD", "disk", "compact", path_only, {"Path"}},
	{"Merge-VHD", "disk", "merge", merge_vhd, {"Path", "DestinationPath"}},
	{"New-VMSwitch", "switch", "create", new_switch, {"Name"}},
	{"Get-VMSwitch", "switch", "list", none},
	{"Remove-VMSwitch", "switch", "remove", name_only, {"Name"}},
	{0},
};
