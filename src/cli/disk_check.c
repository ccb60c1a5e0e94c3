// SPDX-License-Identifier: Apache-2.0
/* `virid disk check` and `virid disk repair` */
#include <inttypes.h>

#include "disk.h"
#include "lib/check.h"

enum { OPT_JSON = 1 };

static const struct option options[] = {
	{"json", no_argument, NULL, OPT_JSON},
	{0},
};

struct report {
	json_t *findings; /* NULL: as text */
};

static const char *state_of(const struct vhd_finding *f)
{
	return f->repaired ? "repaired" : f->repairable ? "repairable" : "";
}

static void on_finding(void *ctx, const struct vhd_finding *f)
{
	struct report *report = ctx;
	const char *kind = f->kind == VHD_FINDING_ERROR ? "error" : "warning";

	if (report->findings == NULL) {
		printf("%s at offset 0x%" PRIx64 ": %s%s%s%s\n", kind, f->file_offset, f->text,
		       state_of(f)[0] ? " (" : "", state_of(f), state_of(f)[0] ? ")" : "");
		return;
	}
	json_t *o = json_object();

	json_add_text(o, "kind", kind);
	json_add_number(o, "file-offset", f->file_offset);
	json_add_text(o, "text", f->text);
	json_add_flag(o, "repairable", f->repairable);
	json_add_flag(o, "repaired", f->repaired);
	json_append(report->findings, o);
}

static void print_result(const char *path, const struct vhd_check_result *r, json_t *findings)
{
	if (findings == NULL) {
		printf("%s: %" PRIu64 " blocks checked, %u errors, %u warnings, %u repaired\n",
		       path, r->blocks_checked, r->errors, r->warnings, r->repaired);
		return;
	}
	json_t *o = json_object();

	json_add_text(o, "file", path);
	json_add_flag(o, "clean", r->errors == 0);
	json_add_number(o, "errors", r->errors);
	json_add_number(o, "warnings", r->warnings);
	json_add_number(o, "repaired", r->repaired);
	json_add_number(o, "blocks-checked", r->blocks_checked);
	json_add(o, "findings", json_incref(findings));
	disk_json_print(o);
}

static int examine(struct disk_session *s, const char *path, bool repair)
{
	struct report report = {.findings = s->json ? json_array() : NULL};
	struct vhd_check check = {.repair = repair, .finding = on_finding, .ctx = &report};
	struct vhd_check_result result = {0};
	struct vhd_error error = {{0}};
	int status;

	if (repair && !disk_refuse_parent(s, path, NULL)) {
		status = CLI_FAILED;
		goto out;
	}
	int r = vhd_check(&s->host, path, &check, &result, &error);

	if (r != 0) {
		status = disk_fail(s, r, &error);
		goto out;
	}
	print_result(path, &result, report.findings);
	status = result.errors != 0 ? DISK_FINDINGS : CLI_OK;
out:
	json_decref(report.findings);
	return status;
}

static int run(int argc, char **argv, bool repair)
{
	bool json = false;
	struct disk_session s;

	for (int c = disk_option(argc, argv, options); c != -1;
	     c = disk_option(argc, argv, options)) {
		if (c == '?') {
			return CLI_USAGE;
		}
		json = true;
	}
	if (!disk_operands(argc, argv, 1, "one FILE")) {
		return CLI_USAGE;
	}
	if (!disk_session_open(&s, json)) {
		return CLI_FAILED;
	}
	int status = examine(&s, argv[optind], repair);

	disk_session_close(&s);
	return status;
}

static int run_check(int argc, char **argv)
{
	return run(argc, argv, false);
}

static int run_repair(int argc, char **argv)
{
	return run(argc, argv, true);
}

const struct disk_command disk_check_command = {
	.name = "check",
	.arguments = "FILE [--json]",
	.summary = "examine every structure of a disk",
	.help = "Examines the structures of one VHD or VHDX file, and whether its parent is there "
		"and fits. Changes nothing.\n"
		"An error means that data is lost or may be wrong; a warning is harmless, or "
		"waste. The exit status is 0 without\n"
		"errors, 3 with errors.\n"
		"\n"
		"  --json   findings as JSON\n",
	.run = run_check,
};

const struct disk_command disk_repair_command = {
	.name = "repair",
	.arguments = "FILE [--json]",
	.summary = "repair what can be repaired without guessing",
	.help = "Examines a file as check does, and repairs what follows from other structures of "
		"the file: copies of headers and\n"
		"tables, a missing footer, changes waiting in the log. What would be a guess is "
		"reported and left as it is. The\n"
		"exit status is 0 when no errors are left, else 3.\n"
		"\n"
		"  --json   findings as JSON\n",
	.run = run_repair,
};
