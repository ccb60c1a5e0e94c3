/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's log: one line per event on standard error, `program: VM name: text`. Any thread. Control characters but for line ends and tabs are shown as
 * question marks.
 */
#ifndef HOST_LOG_H
#define HOST_LOG_H

#include <stdarg.h>
#include <stddef.h>

/* @program and @vm (may be NULL) are kept, not copied; call once before other threads start. */
void log_init(const char *program, const char *vm);
__attribute__((format(printf, 1, 2))) void log_line(const char *fmt, ...);
/* The text of the last line, without program and VM; "": none yet. */
void log_last(char *ret, size_t size);

#endif
