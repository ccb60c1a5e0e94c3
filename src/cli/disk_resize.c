// SPDX-License-Identifier: Apache-2.0
/* `virid disk resize` and `virid disk compact`: jobs on one open disk. */
#include "disk.h"
#include "lib/check.h"

enum { OPT_JSON = 1, OPT_RAW };

static const struct option options[] = {
	{"json", no_argument, NULL, OPT_JSON},
	{"raw", no_argument, NULL, OPT_RAW},
	{0},
};

/* What the two commands differ in. @bytes: only for resize. */
typedef int start_job(struct vhd_disk *d, uint64_t bytes, struct vhd_job **ret,
		      struct vhd_error *error);

static int start_resize(struct vhd_disk *d, uint64_t bytes, struct vhd_job **ret,
			struct vhd_error *error)
{
	return vhd_resize(d, bytes, ret, error);
}

static int start_compact(struct vhd_disk *d, uint64_t bytes, struct vhd_job **ret,
			 struct vhd_error *error)
{
	return vhd_compact(d, ret, error);
}

static struct vhd_info *info_of(struct vhd_disk *d)
{
	struct vhd_info *info = malloc(sizeof(*info));

	CHECK(info != NULL);
	vhd_get_info(d, info);
	return info;
}

static void print_result(const struct vhd_info *before, const struct vhd_info *after)
{
	json_t *o = json_object();

	json_add_text(o, "file", after->path);
	json_add_number(o, "size-before", before->bytes);
	json_add_number(o, "size", after->bytes);
	json_add_number(o, "file-size-before", before->file_bytes);
	json_add_number(o, "file-size", after->file_bytes);
	disk_json_print(o);
}

static int work(struct disk_session *s, const char *path, uint32_t flags, start_job *start,
		uint64_t bytes)
{
	struct vhd_error error = {{0}};
	struct disk_summary sum;
	struct vhd_job *job;

	if (!disk_refuse_parent(s, path, NULL)) {
		return CLI_FAILED;
	}
	struct vhd_disk *d = disk_open(s, path, flags | VHD_OPEN_WRITE);

	if (d == NULL) {
		return CLI_FAILED;
	}
	struct vhd_info *before = info_of(d);
	int r = start(d, bytes, &job, &error);
	int status = r != 0 ? disk_fail(s, r, &error) : disk_run_job(s, job, &sum);
	struct vhd_info *after = info_of(d);
	int closed = disk_close_written(s, d, path);

	status = status != CLI_OK ? status : closed;
	if (status == CLI_OK && s->json) {
		print_result(before, after);
	}
	free(before);
	free(after);
	return status;
}

static int run(int argc, char **argv, start_job *start, bool has_size)
{
	bool json = false;
	uint32_t flags = 0;
	uint64_t bytes = 0;
	struct disk_session s;

	for (int c = disk_option(argc, argv, options); c != -1;
	     c = disk_option(argc, argv, options)) {
		if (c == '?') {
			return CLI_USAGE;
		}
		json = json || c == OPT_JSON;
		flags |= c == OPT_RAW ? VHD_OPEN_RAW : 0;
	}
	if (!disk_operands(argc, argv, has_size ? 2 : 1, has_size ? "FILE and SIZE" : "one FILE") ||
	    (has_size && !disk_size_option(argv[0], "SIZE", argv[optind + 1], &bytes))) {
		return CLI_USAGE;
	}
	if (!disk_session_open(&s, json)) {
		return CLI_FAILED;
	}
	int status = work(&s, argv[optind], flags, start, bytes);

	disk_session_close(&s);
	return status;
}

static int run_resize(int argc, char **argv)
{
	return run(argc, argv, start_resize, true);
}

static int run_compact(int argc, char **argv)
{
	return run(argc, argv, start_compact, false);
}

const struct disk_command disk_resize_command = {
	.name = "resize",
	.arguments = "FILE SIZE [--raw] [--json]",
	.summary = "make a disk larger or smaller",
	.help = "Changes the size that the guest sees. A disk can only shrink to the end of the "
		"last block that holds data\n"
		"(info: can shrink to); partitions are the guest's business.\n"
		"\n"
		"  --raw    take FILE as a raw image, whatever it contains (names ending in .raw "
		"or .img are raw anyway)\n"
		"  --json   describe the result on standard output\n",
	.run = run_resize,
};

const struct disk_command disk_compact_command = {
	.name = "compact",
	.arguments = "FILE [--json]",
	.summary = "give unused space of the file back",
	.help = "Frees blocks that the guest trimmed or left zero, moves the others together and "
		"cuts the file.\n"
		"\n"
		"  --json   describe the result on standard output\n",
	.run = run_compact,
};
