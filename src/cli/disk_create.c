// SPDX-License-Identifier: Apache-2.0
/* `virid disk create` */
#include <string.h>

#include "disk.h"
#include "lib/bits.h"

enum { OPT_SIZE = 1, OPT_FORMAT, OPT_PARENT, OPT_BLOCK, OPT_SECTOR, OPT_PHYSICAL, OPT_JSON };

static const struct option options[] = {
	{"size", required_argument, NULL, OPT_SIZE},
	{"format", required_argument, NULL, OPT_FORMAT},
	{"parent", required_argument, NULL, OPT_PARENT},
	{"block-size", required_argument, NULL, OPT_BLOCK},
	{"sector-size", required_argument, NULL, OPT_SECTOR},
	{"physical-sector-size", required_argument, NULL, OPT_PHYSICAL},
	{"json", no_argument, NULL, OPT_JSON},
	{0},
};

struct create_options {
	struct vhd_create create;
	bool has_format;
	bool json;
};

static bool set_sector(const char *option, const char *text, uint32_t *ret)
{
	uint64_t v;

	if (!parse_size(text, false, &v) || (v != 512 && v != 4096)) {
		disk_usage("create", "%s: '%s' is not a sector size; expected 512 or 4096", option,
			   text);
		return false;
	}
	*ret = (uint32_t)v;
	return true;
}

static bool set_option(struct create_options *o, int option)
{
	switch (option) {
	case OPT_SIZE:
		if (!disk_size_option("create", "--size", optarg, &o->create.bytes)) {
			return false;
		}
		if (o->create.bytes == 0) {
			disk_usage("create", "--size: a disk of 0 bytes cannot be");
			return false;
		}
		return true;
	case OPT_FORMAT:
		o->has_format = vhd_format_parse(optarg, &o->create.format);
		if (!o->has_format) {
			disk_usage("create",
				   "--format: '%s' is not a format; expected raw, vhd-fixed, "
				   "vhd-dynamic, vhd-differencing, "
				   "vhdx-fixed, vhdx-dynamic or vhdx-differencing",
				   optarg);
		}
		return o->has_format;
	case OPT_PARENT:
		o->create.parent = optarg;
		return true;
	case OPT_BLOCK:
		return disk_size_option("create", "--block-size", optarg, &o->create.block_bytes);
	case OPT_SECTOR:
		return set_sector("--sector-size", optarg, &o->create.sector_bytes);
	case OPT_PHYSICAL:
		return set_sector("--physical-sector-size", optarg,
				  &o->create.physical_sector_bytes);
	case OPT_JSON:
		o->json = true;
		return true;
	default:
		return false;
	}
}

static bool is_differencing(enum vhd_format f)
{
	return f == VHD_VHD_DIFFERENCING || f == VHD_VHDX_DIFFERENCING;
}

/* From the file's name, unless --format said it; --parent makes it differencing. */
static bool choose_format(struct create_options *o, const char *path)
{
	struct vhd_create *c = &o->create;

	if (!o->has_format) {
		if (!disk_format_of_name(path, &c->format)) {
			disk_usage("create",
				   "%s: its name does not say the format (.vhd, .vhdx, .avhd, "
				   ".avhdx, .raw, .img); give --format",
				   path);
			return false;
		}
		if (c->parent != NULL && c->format != VHD_RAW) {
			c->format =
				c->format == VHD_VHD_DYNAMIC || c->format == VHD_VHD_DIFFERENCING
					? VHD_VHD_DIFFERENCING
					: VHD_VHDX_DIFFERENCING;
		}
	}
	if (is_differencing(c->format) && c->parent == NULL) {
		disk_usage("create", "%s is a differencing disk; give its --parent", path);
		return false;
	}
	if (!is_differencing(c->format) && c->parent != NULL) {
		disk_usage("create",
			   "--parent: a %s disk has none; leave --format out, or give a "
			   "differencing one",
			   vhd_format_name(c->format));
		return false;
	}
	if (c->bytes == 0 && c->parent == NULL) {
		disk_usage("create", "give the disk's --size, such as 10G");
		return false;
	}
	return true;
}

static int report(struct disk_session *s, const char *path)
{
	struct vhd_disk *d = disk_open(s, path, VHD_OPEN_NO_PARENT);
	struct vhd_info *info = malloc(sizeof(*info));

	if (d == NULL || info == NULL) {
		free(info);
		return CLI_FAILED;
	}
	vhd_get_info(d, info);
	disk_json_print(disk_json_info(info));
	free(info);
	vhd_close(d);
	return CLI_OK;
}

static int run(int argc, char **argv)
{
	struct create_options o = {0};
	struct disk_session s;
	struct vhd_error error = {{0}};

	for (int c = disk_option(argc, argv, options); c != -1;
	     c = disk_option(argc, argv, options)) {
		if (c == '?' || !set_option(&o, c)) {
			return CLI_USAGE;
		}
	}
	if (!disk_operands(argc, argv, 1, "one FILE to make") || !choose_format(&o, argv[optind])) {
		return CLI_USAGE;
	}
	if (!disk_session_open(&s, o.json)) {
		return CLI_FAILED;
	}
	disk_remove_leftovers(&s, argv[optind]);
	int r = vhd_create(&s.host, argv[optind], &o.create, &error);
	int status = r != 0 ? disk_fail(&s, r, &error) : o.json ? report(&s, argv[optind]) : CLI_OK;

	disk_session_close(&s);
	return status;
}

const struct disk_command disk_create_command = {
	.name = "create",
	.arguments = "FILE --size SIZE [OPTIONS]",
	.summary = "make a new, empty disk",
	.help = "Makes a new disk. FILE must not exist.\n"
		"\n"
		"  --size SIZE              what the guest sees, such as 10G (with --parent: "
		"default the parent's)\n"
		"  --format FORMAT          raw, vhd-fixed, vhd-dynamic, vhdx-fixed or "
		"vhdx-dynamic (default from FILE's name:\n"
		"                           .vhd and .vhdx are dynamic, .raw and .img raw)\n"
		"  --parent FILE            make a differencing disk: what it does not have is "
		"read from its parent\n"
		"  --block-size SIZE        unit of allocation: VHDX 1M to 256M (default 32M, "
		"differencing 2M), VHD default 2M\n"
		"  --sector-size BYTES      VHDX: 512 or 4096 (default 512, differencing the "
		"parent's)\n"
		"  --physical-sector-size BYTES  VHDX: 512 or 4096 (default 4096)\n"
		"  --json                   describe the new disk on standard output\n",
	.run = run,
};
