// SPDX-License-Identifier: Apache-2.0
/* `virid disk convert` */
#include <string.h>

#include "disk.h"
#include "lib/bits.h"
#include "lib/check.h"

enum { OPT_FORMAT = 1, OPT_BLOCK, OPT_SECTOR, OPT_RAW, OPT_CHS, OPT_JSON };

static const struct option options[] = {
	{"format", required_argument, NULL, OPT_FORMAT},
	{"block-size", required_argument, NULL, OPT_BLOCK},
	{"sector-size", required_argument, NULL, OPT_SECTOR},
	{"raw", no_argument, NULL, OPT_RAW},
	{"chs", no_argument, NULL, OPT_CHS},
	{"json", no_argument, NULL, OPT_JSON},
	{0},
};

struct convert_options {
	struct vhd_create create;
	bool has_format;
	uint32_t open_flags;
	bool json;
};

static bool set_format(struct convert_options *o)
{
	o->has_format = vhd_format_parse(optarg, &o->create.format) &&
			o->create.format != VHD_VHD_DIFFERENCING &&
			o->create.format != VHD_VHDX_DIFFERENCING;
	if (!o->has_format) {
		disk_usage("convert",
			   "--format: '%s' is not a format to convert to; expected raw, vhd-fixed, "
			   "vhd-dynamic, vhdx-fixed or vhdx-dynamic",
			   optarg);
	}
	return o->has_format;
}

static bool set_sector(struct convert_options *o)
{
	uint64_t v;

	if (!parse_size(optarg, false, &v) || (v != 512 && v != 4096)) {
		disk_usage("convert",
			   "--sector-size: '%s' is not a sector size; expected 512 or 4096",
			   optarg);
		return false;
	}
	o->create.sector_bytes = (uint32_t)v;
	return true;
}

static bool set_option(struct convert_options *o, int option)
{
	switch (option) {
	case OPT_FORMAT:
		return set_format(o);
	case OPT_BLOCK:
		return disk_size_option("convert", "--block-size", optarg, &o->create.block_bytes);
	case OPT_SECTOR:
		return set_sector(o);
	case OPT_RAW:
		o->open_flags |= VHD_OPEN_RAW;
		return true;
	case OPT_CHS:
		o->open_flags |= VHD_OPEN_CHS_SIZE;
		return true;
	case OPT_JSON:
		o->json = true;
		return true;
	default:
		return false;
	}
}

static bool choose_format(struct convert_options *o, const char *target)
{
	if (o->has_format) {
		return true;
	}
	if (!disk_format_of_name(target, &o->create.format)) {
		disk_usage("convert",
			   "%s: its name does not say the format (.vhd, .vhdx, .raw, .img); give "
			   "--format",
			   target);
		return false;
	}
	if (o->create.format == VHD_VHD_DIFFERENCING || o->create.format == VHD_VHDX_DIFFERENCING) {
		disk_usage("convert",
			   "%s: its name is a differencing disk's; the result has no parent, name "
			   "it .vhd or .vhdx",
			   target);
		return false;
	}
	return true;
}

static void print_result(struct disk_session *s, const char *target, const struct disk_summary *sum)
{
	json_t *o = json_object();

	json_add_text(o, "file", target);
	json_add_number(o, "bytes", sum->done_bytes);
	json_add_number(o, "milliseconds", sum->ns / 1000000);
	disk_json_print(o);
}

static int convert(struct disk_session *s, const char *source, const char *target,
		   const struct convert_options *o)
{
	struct vhd_error error = {{0}};
	struct disk_summary sum;
	struct vhd_job *job;
	struct vhd_disk *d = disk_open(s, source, o->open_flags);

	if (d == NULL) {
		return CLI_FAILED;
	}
	disk_remove_leftovers(s, target);
	int r = vhd_convert(&s->host, d, target, &o->create, &job, &error);
	int status = r != 0 ? disk_fail(s, r, &error) : disk_run_job(s, job, &sum);

	if (status == CLI_OK && s->json) {
		print_result(s, target, &sum);
	}
	vhd_close(d);
	return status;
}

static int run(int argc, char **argv)
{
	struct convert_options o = {0};
	struct disk_session s;

	for (int c = disk_option(argc, argv, options); c != -1;
	     c = disk_option(argc, argv, options)) {
		if (c == '?' || !set_option(&o, c)) {
			return CLI_USAGE;
		}
	}
	if (!disk_operands(argc, argv, 2, "SOURCE and TARGET") ||
	    !choose_format(&o, argv[optind + 1])) {
		return CLI_USAGE;
	}
	if (!disk_session_open(&s, o.json)) {
		return CLI_FAILED;
	}
	int status = convert(&s, argv[optind], argv[optind + 1], &o);

	disk_session_close(&s);
	return status;
}

const struct disk_command disk_convert_command = {
	.name = "convert",
	.arguments = "SOURCE TARGET [OPTIONS]",
	.summary = "copy a disk into another format",
	.help = "Copies what SOURCE and its parents show into the new file TARGET, which gets its "
		"name only when it is complete.\n"
		"Parts that are zero take no space where the format allows it.\n"
		"\n"
		"  --format FORMAT       raw, vhd-fixed, vhd-dynamic, vhdx-fixed or vhdx-dynamic "
		"(default from TARGET's name)\n"
		"  --block-size SIZE     unit of allocation of the new disk: VHDX 1M to 256M "
		"(default 32M), VHD default 2M\n"
		"  --sector-size BYTES   VHDX: 512 or 4096 (default SOURCE's)\n"
		"  --raw                 take SOURCE as a raw image, whatever it contains (names "
		"ending in .raw or .img are raw anyway)\n"
		"  --chs                 SOURCE is a VHD of Virtual PC: its size is what its "
		"geometry says\n"
		"  --json                describe the result on standard output\n",
	.run = run,
};
