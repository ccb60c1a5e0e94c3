// SPDX-License-Identifier: Apache-2.0
/* `virid disk merge` */
#include <string.h>

#include "disk.h"
#include "lib/check.h"

enum { OPT_INTO = 1, OPT_TO, OPT_FORMAT, OPT_KEEP, OPT_JSON };

static const struct option options[] = {
	{"into", required_argument, NULL, OPT_INTO},	 {"to", required_argument, NULL, OPT_TO},
	{"format", required_argument, NULL, OPT_FORMAT}, {"keep", no_argument, NULL, OPT_KEEP},
	{"json", no_argument, NULL, OPT_JSON},		 {0},
};

struct merge_options {
	const char *into;
	const char *to;
	struct vhd_create create; /* of @to */
	bool has_format;
	bool keep;
	bool json;
};

struct path_list {
	char **path;
	size_t count;
};

static void add_path(struct path_list *l, const char *path)
{
	char **grown = realloc(l->path, (l->count + 1) * sizeof(*grown));

	CHECK(grown != NULL);
	l->path = grown;
	l->path[l->count] = strdup(path);
	CHECK(l->path[l->count] != NULL);
	l->count++;
}

static void free_paths(struct path_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->path[i]);
	}
	free(l->path);
}

/* The files from @child down to @into (NULL: its parent), child first. */
static bool find_files(struct disk_session *s, const char *child, const char *into,
		       struct path_list *ret)
{
	struct vhd_disk *d = disk_open(s, child, 0);
	struct vhd_info *info = malloc(sizeof(*info));
	struct vhd_disk *file = d;
	bool found = false;

	CHECK(info != NULL);
	for (unsigned depth = 0; file != NULL && !found; file = vhd_ancestor(d, ++depth)) {
		vhd_get_info(file, info);
		add_path(ret, depth == 0 ? child : info->path);
		found = depth != 0 &&
			(into == NULL || s->host.same_file(s->host.ctx, info->path, into));
	}
	if (d != NULL && !found) {
		struct vhd_error error;

		if (into == NULL) {
			snprintf(error.text, sizeof(error.text),
				 "%.400s: has no parent to merge into", child);
		} else {
			snprintf(error.text, sizeof(error.text),
				 "%.200s: is not an ancestor of %.200s; disk info --chain lists "
				 "them",
				 into, child);
		}
		disk_fail(s, VHD_INVALID_ARGUMENT, &error);
	}
	if (d != NULL) {
		vhd_close(d);
	}
	free(info);
	return found;
}

/* Other branches of the tree would lose what they stand on. */
static bool refuse_branches(struct disk_session *s, const struct path_list *files)
{
	for (size_t i = 1; i < files->count; i++) {
		if (!disk_refuse_parent(s, files->path[i], files->path[i - 1])) {
			return false;
		}
	}
	return true;
}

static bool on_child(void *ctx, const char *child)
{
	add_path(ctx, child);
	return true;
}

/* Children of what was merged away see the same disk in the ancestor now. */
static int reconnect_children(struct disk_session *s, const struct path_list *children,
			      const char *ancestor)
{
	for (size_t i = 0; i < children->count; i++) {
		struct vhd_error error = {{0}};
		int r = vhd_reconnect(&s->host, children->path[i], ancestor, true, &error);

		if (r != 0) {
			return disk_fail(s, r, &error);
		}
	}
	return CLI_OK;
}

static int remove_merged(struct disk_session *s, const struct path_list *files)
{
	int status = CLI_OK;

	for (size_t i = 0; i + 1 < files->count; i++) {
		int r = s->host.remove(s->host.ctx, files->path[i]);

		if (r < 0) {
			complain("%s: merged, but cannot be removed: %s", files->path[i],
				 strerror(-r));
			status = CLI_FAILED;
		}
	}
	return status;
}

static void print_result(const char *file, const struct disk_summary *sum)
{
	json_t *o = json_object();

	json_add_text(o, "file", file);
	json_add_number(o, "bytes", sum->done_bytes);
	json_add_number(o, "milliseconds", sum->ns / 1000000);
	disk_json_print(o);
}

static int merge_files(struct disk_session *s, const struct path_list *files,
		       const struct merge_options *o)
{
	const char *ancestor = files->path[files->count - 1];
	struct path_list children = {0};
	struct vhd_error error = {{0}};
	struct disk_summary sum;
	struct vhd_job *job;

	int r = vhd_find_children(&s->host, files->path[0], &backend_directory, on_child, &children,
				  &error);

	r = r != 0 ? r
		   : vhd_merge(&s->host, files->path[0], (unsigned)files->count - 1, &job, &error);
	int status = r != 0 ? disk_fail(s, r, &error) : disk_run_job(s, job, &sum);

	if (status == CLI_OK && !o->keep) {
		status = reconnect_children(s, &children, ancestor);
		status = status == CLI_OK ? remove_merged(s, files) : status;
	}
	if (status == CLI_OK && s->json) {
		print_result(ancestor, &sum);
	}
	free_paths(&children);
	return status;
}

static int merge_into(struct disk_session *s, const char *child, const struct merge_options *o)
{
	struct path_list files = {0};
	int status = CLI_FAILED;

	if (find_files(s, child, o->into, &files) && refuse_branches(s, &files)) {
		status = merge_files(s, &files, o);
	}
	free_paths(&files);
	return status;
}

static int merge_to(struct disk_session *s, const char *child, const struct merge_options *o)
{
	struct vhd_error error = {{0}};
	struct disk_summary sum;
	struct vhd_job *job;
	struct vhd_disk *d = disk_open(s, child, 0);

	if (d == NULL) {
		return CLI_FAILED;
	}
	disk_remove_leftovers(s, o->to);
	int r = vhd_convert(&s->host, d, o->to, &o->create, &job, &error);
	int status = r != 0 ? disk_fail(s, r, &error) : disk_run_job(s, job, &sum);

	vhd_close(d);
	if (status == CLI_OK && s->json) {
		print_result(o->to, &sum);
	}
	return status;
}

static bool set_option(struct merge_options *o, int option)
{
	switch (option) {
	case OPT_INTO:
		o->into = optarg;
		return true;
	case OPT_TO:
		o->to = optarg;
		return true;
	case OPT_FORMAT:
		o->has_format = vhd_format_parse(optarg, &o->create.format) &&
				o->create.format != VHD_VHD_DIFFERENCING &&
				o->create.format != VHD_VHDX_DIFFERENCING;
		if (!o->has_format) {
			disk_usage("merge",
				   "--format: '%s' is not a format here; expected raw, vhd-fixed, "
				   "vhd-dynamic, vhdx-fixed or vhdx-dynamic",
				   optarg);
		}
		return o->has_format;
	case OPT_KEEP:
		o->keep = true;
		return true;
	case OPT_JSON:
		o->json = true;
		return true;
	default:
		return false;
	}
}

static bool check_options(struct merge_options *o)
{
	if (o->to != NULL && (o->into != NULL || o->keep)) {
		disk_usage("merge", "--to makes a new file and changes no other: leave --%s out",
			   o->into != NULL ? "into" : "keep");
		return false;
	}
	if (o->to == NULL) {
		if (o->has_format) {
			disk_usage("merge", "--format is for the new file of --to");
		}
		return !o->has_format;
	}
	if (!o->has_format && (!disk_format_of_name(o->to, &o->create.format) ||
			       o->create.format == VHD_VHD_DIFFERENCING ||
			       o->create.format == VHD_VHDX_DIFFERENCING)) {
		disk_usage("merge",
			   "%s: its name does not say the format (.vhd, .vhdx, .raw, .img); give "
			   "--format",
			   o->to);
		return false;
	}
	return true;
}

static int run(int argc, char **argv)
{
	struct merge_options o = {0};
	struct disk_session s;

	for (int c = disk_option(argc, argv, options); c != -1;
	     c = disk_option(argc, argv, options)) {
		if (c == '?' || !set_option(&o, c)) {
			return CLI_USAGE;
		}
	}
	if (!disk_operands(argc, argv, 1, "one CHILD") || !check_options(&o)) {
		return CLI_USAGE;
	}
	if (!disk_session_open(&s, o.json)) {
		return CLI_FAILED;
	}
	int status =
		o.to != NULL ? merge_to(&s, argv[optind], &o) : merge_into(&s, argv[optind], &o);

	disk_session_close(&s);
	return status;
}

const struct disk_command disk_merge_command = {
	.name = "merge",
	.arguments = "CHILD [--into ANCESTOR | --to NEWFILE] [OPTIONS]",
	.summary = "write a differencing disk's data into its parent, or into a new disk",
	.help = "Writes what CHILD (and the files between) have into ANCESTOR, then removes CHILD "
		"and those files; differencing\n"
		"disks on CHILD in its directory are connected to ANCESTOR. Interrupted at any "
		"time, CHILD still shows its contents\n"
		"and merge can be called again.\n"
		"\n"
		"  --into ANCESTOR   an ancestor of CHILD (default its parent)\n"
		"  --to NEWFILE      make a new disk without parent instead; nothing else changes\n"
		"  --format FORMAT   of NEWFILE: raw, vhd-fixed, vhd-dynamic, vhdx-fixed or "
		"vhdx-dynamic (default from its name)\n"
		"  --keep            leave CHILD and the files between in place\n"
		"  --json            describe the result on standard output\n",
	.run = run,
};
