// SPDX-License-Identifier: Apache-2.0
/* `virid disk reconnect` */
#include "disk.h"
#include "lib/check.h"

enum { OPT_FORCE = 1, OPT_JSON };

static const struct option options[] = {
	{"force", no_argument, NULL, OPT_FORCE},
	{"json", no_argument, NULL, OPT_JSON},
	{0},
};

static int reconnect(struct disk_session *s, const char *child, const char *parent, bool force)
{
	struct vhd_error error = {{0}};
	int r = vhd_reconnect(&s->host, child, parent, force, &error);

	if (r != 0) {
		return disk_fail(s, r, &error);
	}
	if (s->json) {
		json_t *o = json_object();

		json_add_text(o, "file", child);
		json_add_text(o, "parent", parent);
		disk_json_print(o);
	}
	return CLI_OK;
}

static int run(int argc, char **argv)
{
	bool force = false, json = false;
	struct disk_session s;

	for (int c = disk_option(argc, argv, options); c != -1;
	     c = disk_option(argc, argv, options)) {
		if (c == '?') {
			return CLI_USAGE;
		}
		force = force || c == OPT_FORCE;
		json = json || c == OPT_JSON;
	}
	if (!disk_operands(argc, argv, 2, "CHILD and PARENT")) {
		return CLI_USAGE;
	}
	if (!disk_session_open(&s, json)) {
		return CLI_FAILED;
	}
	int status = reconnect(&s, argv[optind], argv[optind + 1], force);

	disk_session_close(&s);
	return status;
}

const struct disk_command disk_reconnect_command = {
	.name = "reconnect",
	.arguments = "CHILD PARENT [--force] [--json]",
	.summary = "tell a differencing disk where its parent is now",
	.help = "Records in CHILD where its parent lies. PARENT must be the very disk that CHILD "
		"was made on.\n"
		"\n"
		"  --force   accept another one, or one that was changed since: CHILD then shows a "
		"mixture, and that may be no disk\n"
		"            that anybody ever wrote\n"
		"  --json    describe the result on standard output\n",
	.run = run,
};
