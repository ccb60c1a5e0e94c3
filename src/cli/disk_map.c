// SPDX-License-Identifier: Apache-2.0
/* `virid disk map` */
#include <inttypes.h>

#include "disk.h"
#include "lib/check.h"

enum { OPT_JSON = 1, OPT_RAW };

static const struct option options[] = {
	{"json", no_argument, NULL, OPT_JSON},
	{"raw", no_argument, NULL, OPT_RAW},
	{0},
};

/* Printed as they come, so that the map of any disk takes no memory. */
struct map_printer {
	bool json;
	bool first;
	uint64_t offset; /* of @run */
	struct vhd_extent run;
};

static const char *const kind_names[] = {
	[VHD_EXTENT_ABSENT] = "absent",
	[VHD_EXTENT_ZERO] = "zero",
	[VHD_EXTENT_DATA] = "data",
};

static void print_run(struct map_printer *p)
{
	const struct vhd_extent *e = &p->run;
	const char *kind = kind_names[e->kind];

	if (e->bytes == 0) {
		return;
	}
	if (p->json) {
		printf("%s\n  {\"offset\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"kind\": \"%s\"",
		       p->first ? "" : ",", p->offset, e->bytes, kind);
		if (e->kind != VHD_EXTENT_ABSENT) {
			printf(", \"depth\": %u", e->depth);
		}
		if (e->kind == VHD_EXTENT_DATA) {
			printf(", \"file-offset\": %" PRIu64, e->file_offset);
		}
		putchar('}');
	} else {
		printf("%#18" PRIx64 " %#18" PRIx64 "  %-6s", p->offset, e->bytes, kind);
		if (e->kind != VHD_EXTENT_ABSENT) {
			printf("  %5u", e->depth);
		}
		if (e->kind == VHD_EXTENT_DATA) {
			printf("  %#18" PRIx64, e->file_offset);
		}
		putchar('\n');
	}
	p->first = false;
}

static bool continues(const struct vhd_extent *run, const struct vhd_extent *e)
{
	return run->bytes != 0 && run->kind == e->kind &&
	       (e->kind == VHD_EXTENT_ABSENT || run->depth == e->depth) &&
	       (e->kind != VHD_EXTENT_DATA || run->file_offset + run->bytes == e->file_offset);
}

static void add(struct map_printer *p, uint64_t offset, const struct vhd_extent *e)
{
	if (continues(&p->run, e)) {
		p->run.bytes += e->bytes;
		return;
	}
	print_run(p);
	p->offset = offset;
	p->run = *e;
}

static int print_map(struct disk_session *s, struct vhd_disk *d)
{
	struct map_printer printer = {.json = s->json, .first = true};
	struct vhd_error error = {{0}};
	uint64_t bytes = vhd_block(d)->info.bytes;
	struct vhd_extent e;

	fputs(s->json ? "["
		      : "            offset              bytes  kind    depth         file "
			"offset\n",
	      stdout);
	for (uint64_t offset = 0; offset < bytes; offset += e.bytes) {
		int r = vhd_map(d, offset, &e, &error);

		if (r != 0) {
			complain("%s", error.text);
			return CLI_FAILED; /* what was printed is no JSON: the status tells */
		}
		if (disk_interrupted()) {
			return DISK_INTERRUPTED;
		}
		CHECK(e.bytes != 0 && e.bytes <= bytes - offset);
		add(&printer, offset, &e);
	}
	print_run(&printer);
	fputs(s->json ? "\n]\n" : "", stdout);
	return CLI_OK;
}

static int run(int argc, char **argv)
{
	bool json = false;
	uint32_t flags = 0;
	struct disk_session s;

	for (int c = disk_option(argc, argv, options); c != -1;
	     c = disk_option(argc, argv, options)) {
		if (c == '?') {
			return CLI_USAGE;
		}
		json = json || c == OPT_JSON;
		flags |= c == OPT_RAW ? VHD_OPEN_RAW : 0;
	}
	if (!disk_operands(argc, argv, 1, "one FILE")) {
		return CLI_USAGE;
	}
	if (!disk_session_open(&s, json)) {
		return CLI_FAILED;
	}
	struct vhd_disk *d = disk_open(&s, argv[optind], flags);
	int status = d != NULL ? print_map(&s, d) : CLI_FAILED;

	if (d != NULL) {
		vhd_close(d);
	}
	disk_session_close(&s);
	return status;
}

const struct disk_command disk_map_command = {
	.name = "map",
	.arguments = "FILE [--raw] [--json]",
	.summary = "show where each part of a disk lies",
	.help = "Lists the parts of a disk in order: absent (in no file of the chain: zeros), zero "
		"(recorded as zeros) or data, with\n"
		"the file of the chain that has it (0: FILE, 1: its parent, ...) and the offset in "
		"that file.\n"
		"\n"
		"  --raw    take FILE as a raw image, whatever it contains (names ending in .raw "
		"or .img are raw anyway)\n"
		"  --json   as a JSON list\n",
	.run = run,
};
