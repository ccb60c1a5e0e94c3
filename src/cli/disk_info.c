// SPDX-License-Identifier: Apache-2.0
/* `virid disk info` */

#include "disk.h"
#include "lib/check.h"

enum { OPT_CHAIN = 1, OPT_RAW, OPT_JSON };

static const struct option options[] = {
	{"chain", no_argument, NULL, OPT_CHAIN},
	{"raw", no_argument, NULL, OPT_RAW},
	{"json", no_argument, NULL, OPT_JSON},
	{0},
};

static void line(const char *name, const char *value)
{
	printf("%-22s%s\n", name, value);
}

static void print_sizes(const struct vhd_info *info)
{
	char text[64];

	line("size", disk_size_both(info->bytes, text));
	snprintf(text, sizeof(text), "%u bytes, physical %u bytes", info->sector_bytes,
		 info->physical_sector_bytes);
	line("sectors", text);
	if (info->block_bytes != 0) {
		char size[32];

		line("block size", disk_size_text(info->block_bytes, size));
	}
	line("file", disk_size_both(info->file_bytes, text));
	line("allocated", disk_size_both(info->allocated_bytes, text));
	line("can shrink to", disk_size_both(info->minimum_bytes, text));
}

static void print_identity(const struct vhd_info *info)
{
	char text[GUID_TEXT_BYTES];

	if (!guid_is_zero(&info->id)) {
		line("disk id", disk_guid_text(&info->id, text));
	}
	if (!guid_is_zero(&info->linkage)) {
		line("identity for children", disk_guid_text(&info->linkage, text));
	}
	if (info->has_parent) {
		line("parent", info->parent_path);
		line("parent's identity", disk_guid_text(&info->parent_linkage, text));
	}
	if (info->creator[0] != '\0') {
		line("creator", info->creator);
	}
	if (info->saved_state) {
		line("saved state", "belongs to a saved machine: size and blocks must stay");
	}
	if (info->log_was_replayed) {
		line("log", "holds changes that were not finished; they are taken into account");
	}
}

static void print_info(const struct vhd_info *info)
{
	line("disk", info->path);
	line("format", vhd_format_name(info->format));
	print_sizes(info);
	print_identity(info);
}

static void show(struct vhd_disk *d, bool chain, bool json)
{
	struct vhd_info *info = malloc(sizeof(*info));
	json_t *list = json_array();
	struct vhd_disk *file = d;

	CHECK(info != NULL);
	for (unsigned depth = 0; file != NULL; file = vhd_ancestor(d, ++depth)) {
		vhd_get_info(file, info);
		if (json) {
			json_append(list, disk_json_info(info));
		} else {
			printf("%s", depth == 0 ? "" : "\n");
			print_info(info);
		}
		if (!chain) {
			break;
		}
	}
	if (json) {
		disk_json_print(chain ? json_incref(list) : json_incref(json_array_get(list, 0)));
	}
	json_decref(list);
	free(info);
}

static int run(int argc, char **argv)
{
	bool chain = false, json = false;
	uint32_t flags = 0;
	struct disk_session s;

	for (int c = disk_option(argc, argv, options); c != -1;
	     c = disk_option(argc, argv, options)) {
		if (c == '?') {
			return CLI_USAGE;
		}
		chain = chain || c == OPT_CHAIN;
		json = json || c == OPT_JSON;
		flags |= c == OPT_RAW ? VHD_OPEN_RAW : 0;
	}
	if (!disk_operands(argc, argv, 1, "one FILE")) {
		return CLI_USAGE;
	}
	if (!disk_session_open(&s, json)) {
		return CLI_FAILED;
	}
	struct vhd_disk *d = disk_open(&s, argv[optind], flags | (chain ? 0 : VHD_OPEN_NO_PARENT));

	if (d != NULL) {
		show(d, chain, json);
		vhd_close(d);
	}
	disk_session_close(&s);
	return d != NULL ? CLI_OK : CLI_FAILED;
}

const struct disk_command disk_info_command = {
	.name = "info",
	.arguments = "FILE [--chain] [--raw] [--json]",
	.summary = "say what a disk is",
	.help = "Shows a disk's format, sizes and identity. The file is only read.\n"
		"\n"
		"  --chain   also its parent, the parent's parent and so on; they must be there "
		"and fit\n"
		"  --raw     take FILE as a raw image, whatever it contains (names ending in .raw "
		"or .img are raw anyway)\n"
		"  --json    as JSON; with --chain a list\n",
	.run = run,
};
