/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `virid disk`: one file per subcommand, listed in disk.c. What they share: a session (I/O context and the virtual disk library's host),
 * running jobs with a progress line, and results as text or JSON.
 */
#ifndef CLI_DISK_H
#define CLI_DISK_H

#include <getopt.h>

#include "backend/backend.h"
#include "cli.h"
#include "vhd/vhd.h"
#include "json/json.h"

enum { DISK_FINDINGS = 3, DISK_INTERRUPTED = 130 };

#define DISK_PATH_MAX 4096

struct disk_command {
	const char *name;
	const char *arguments; /* for the usage line */
	const char *summary;
	const char *help; /* options and notes, each line with its '\n' */
	int (*run)(int argc, char **argv);
};

/* disk.c */
int disk_command(int argc, char **argv);
/* Prints what is wrong with the command line and where help is; CLI_USAGE. */
__attribute__((format(printf, 2, 3))) int disk_usage(const char *command, const char *fmt, ...);
/*
 * Takes the next option. -1: no more; '?' after a message: stop with CLI_USAGE. --help never arrives here: disk.c answers it.
 * @options: as getopt_long wants it, with has_arg and val.
 */
int disk_option(int argc, char **argv, const struct option *options);
/* The file arguments after the options: exactly @count, else a message with @what and false. */
bool disk_operands(int argc, char **argv, int count, const char *what);
/* Sizes of options: "--name: 'text' is not ..." and false. */
bool disk_size_option(const char *command, const char *name, const char *text, uint64_t *ret);

extern const struct disk_command disk_create_command, disk_info_command, disk_check_command,
	disk_repair_command, disk_convert_command, disk_resize_command, disk_compact_command,
	disk_merge_command, disk_reconnect_command, disk_map_command;

/* disk_session.c */
struct disk_session {
	struct backend *backend;
	struct vhd_host host;  /* what the commands use: remembers who holds a file */
	struct vhd_host below; /* the backend's */
	bool json;
	char busy_path[DISK_PATH_MAX]; /* the last file that somebody else had locked */
	int busy_pid;		       /* 0: unknown */
};
/* False after a message. Also catches the signals that disk_interrupted tells. */
bool disk_session_open(struct disk_session *s, bool json);
void disk_session_close(struct disk_session *s);
/* SIGINT or SIGTERM came. */
bool disk_interrupted(void);
/* One line on standard error; with --json also as {"error": ...} on standard output. */
void disk_say(const struct disk_session *s, const char *text);
/* Reports @error of @status (what the library returned); CLI_FAILED. */
int disk_fail(struct disk_session *s, int status, const struct vhd_error *error);
/* Opens @path; a file with a raw image's name, or a block device, is raw whatever it contains. NULL after a message. */
struct vhd_disk *disk_open(struct disk_session *s, const char *path, uint32_t flags);
/* Refuses, with a message that names the child, when a differencing disk beside @path has it as parent. @except: a child that is
 * allowed; may be NULL. */
bool disk_refuse_parent(struct disk_session *s, const char *path, const char *except);
/* Closes a disk that was written; CLI_OK or CLI_FAILED after a message. */
int disk_close_written(struct disk_session *s, struct vhd_disk *d, const char *path);
/* disk_files.c */
/* The format that a file's name asks for: .vhd .vhdx .avhd .avhdx .raw .img; false: none of them. */
bool disk_format_of_name(const char *path, enum vhd_format *ret);
/* The directory of a path, "." if it names none. */
void disk_directory_of(const char *path, char ret[DISK_PATH_MAX]);

/* Removes what a process that was killed while it made @target has left ("TARGET.part-XXXXXXXX", open by nobody). */
void disk_remove_leftovers(struct disk_session *s, const char *target);

/* disk_progress.c */
struct disk_summary {
	uint64_t done_bytes;
	uint64_t ns;
};
/*
 * Steps @job until it is finished, fails, or the person interrupts; then destroys it. On a terminal a line on standard error shows how
 * far it is. CLI_OK, CLI_FAILED after a message, or DISK_INTERRUPTED after one.
 */
int disk_run_job(struct disk_session *s, struct vhd_job *job, struct disk_summary *ret);
uint64_t disk_now_ns(void);

/* disk_text.c */
/* "1.5 GiB"; exact multiples without a fraction. */
const char *disk_size_text(uint64_t bytes, char text[32]);
/* "1.5 GiB (1610612736 bytes)" */
const char *disk_size_both(uint64_t bytes, char text[64]);
const char *disk_guid_text(const struct guid *g, char text[GUID_TEXT_BYTES]);
void disk_json_guid(json_t *o, const char *key, const struct guid *g);
/* Prints @o on standard output, frees it. */
void disk_json_print(json_t *o);
/* What one file of a chain is, as `info` and the results of other commands show it. */
json_t *disk_json_info(const struct vhd_info *info);

#endif
