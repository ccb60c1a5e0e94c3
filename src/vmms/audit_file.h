/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log's files. Any thread, but one that writes at a time. */
#ifndef VMMS_AUDIT_FILE_H
#define VMMS_AUDIT_FILE_H

#include "audit.h"

/* Makes the file, mode 0600, and ends a line that a crash has cut. -errno. */
int audit_file_open(const char *path);
/* Adds whole lines, durably; before that, makes a new file when this one is full. -errno. */
int audit_file_append(const char *path, const char *text, size_t bytes);
/* The answer of audit_read, from this file and the older ones. What is no line of the log is passed over. */
json_t *audit_file_read(const char *path, const struct audit_query *q);

#endif
